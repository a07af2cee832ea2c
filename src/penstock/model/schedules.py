from datetime import datetime

from pydantic import Field, field_validator

from penstock.model.base import Request


class IntervalSchedule(Request):
    """Every `interval` seconds, counted from `anchor_date`."""

    interval: float = Field(gt=0)
    anchor_date: datetime | None = None
    timezone: str | None = None


class CronSchedule(Request):
    """A five-field cron expression. `day_or`: whether day-of-month and day-of-week are joined by OR, as cron does."""

    cron: str
    timezone: str | None = None
    day_or: bool = True

    @field_validator("cron")
    @classmethod
    def _five_fields(cls, value: str) -> str:
        if not value.startswith("@") and len(value.split()) != 5:
            raise ValueError(f"{value!r} does not have five fields (minute hour day month weekday)")
        return value


class RRuleSchedule(Request):
    """An RFC 5545 recurrence rule."""

    rrule: str
    timezone: str | None = None


Schedule = IntervalSchedule | CronSchedule | RRuleSchedule
