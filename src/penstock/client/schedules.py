"""Calls about schedules by themselves."""

from datetime import datetime
from typing import TYPE_CHECKING

from penstock.client.call import Call

if TYPE_CHECKING:
    from penstock.model.schedule_previews import PreviewedTime
    from penstock.model.schedules import Schedule


def preview_schedule(
    schedule: "Schedule", *, count: int = 10, after: datetime | None = None
) -> "Call[list[PreviewedTime]]":
    """The first `count` times of a schedule, whether or not a deployment has it, later than `after` or than now."""
    from penstock.model.schedule_previews import SchedulePreviewQuery

    query = SchedulePreviewQuery(schedule=schedule, count=count, after=after)
    return Call("POST", "/schedules/preview", _times, body=query)


def _times() -> "type[list[PreviewedTime]]":
    from penstock.model.schedule_previews import PreviewedTime

    return list[PreviewedTime]
