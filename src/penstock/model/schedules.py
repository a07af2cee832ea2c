"""When a deployment runs by itself: by cron, by interval or by a recurrence rule."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag

from penstock.model.base import Request


class IntervalSchedule(Request):
    """Every `interval` seconds, counted from `anchor_date`. Whole days keep their time of day when clocks change."""

    interval: float = Field(gt=0)
    anchor_date: datetime | None = None
    timezone: str | None = None


class CronSchedule(Request):
    """A five-field cron expression, or a name such as ``@daily``.

    `day_or`: whether day of month and day of week are joined by OR, as cron does.
    """

    cron: str
    timezone: str | None = None
    day_or: bool = True


class RRuleSchedule(Request):
    """Recurrence rules of RFC 5545: one rule, or lines of DTSTART, RRULE, RDATE, EXRULE and EXDATE."""

    rrule: str
    timezone: str | None = None


def _kind(value: Any) -> str:
    """Which schedule is meant, so that an error speaks of that one alone."""
    for kind in ("cron", "rrule"):
        if kind in value if isinstance(value, dict) else hasattr(value, kind):
            return kind
    return "interval"


Schedule = Annotated[
    Annotated[IntervalSchedule, Tag("interval")]
    | Annotated[CronSchedule, Tag("cron")]
    | Annotated[RRuleSchedule, Tag("rrule")],
    Discriminator(_kind),
]


class CatchupPolicy(StrEnum):
    """What becomes of the times of a schedule at which nobody was there to run it."""

    ALL = "all"  #: each of them runs, in order
    LATEST = "latest"  #: the newest of them runs
    SKIP = "skip"  #: none of them runs
