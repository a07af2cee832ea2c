"""The next times of a schedule, before it makes any run."""

from datetime import datetime

from pydantic import AwareDatetime, Field

from penstock.model.base import Data, Request
from penstock.model.schedule_checks import CheckedSchedule

#: Most times of one answer.
MOST_PREVIEWED = 1000


class SchedulePreviewQuery(Request):
    """The first `count` times of `schedule` later than `after`, or than now."""

    schedule: CheckedSchedule
    count: int = Field(default=10, ge=1, le=MOST_PREVIEWED)
    after: AwareDatetime | None = None


class PreviewedTime(Data):
    """One time: in UTC, and as the clocks of the schedule's time zone show it, with their offset (ISO 8601).

    `note` says if those clocks have changed since the time before, or since now.
    """

    time: datetime
    local: str
    timezone: str
    note: str | None = None
