"""Schedules on the command line: cron, interval, rrule, each checked before anything is sent."""

import json
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, available_timezones

from penstock import clock
from penstock.cli import times
from penstock.cli.errors import UsageProblem
from penstock.errors import did_you_mean

if TYPE_CHECKING:
    from penstock.model.schedules import Schedule


def schedule_of(
    *,
    cron: str | None,
    interval: float | None,
    rrule: str | None,
    anchor_date: str | None,
    timezone: str | None,
    day_or: bool | None = None,
) -> "Schedule | None":
    """The schedule that the options ask for, None if they ask for none. Raises UsageProblem on what cannot be meant."""
    given = [f"--{name}" for name, value in (("cron", cron), ("interval", interval), ("rrule", rrule)) if value]
    if len(given) > 1:
        raise UsageProblem(f"{' and '.join(given)} exclude each other: a deployment has one schedule.")
    if anchor_date is not None and interval is None:
        raise UsageProblem("--anchor-date says from when --interval counts, and there is no --interval.")
    if not given:
        if timezone is not None:
            raise UsageProblem("--timezone belongs to a schedule, and there is none.", hint="Add --cron or --rrule.")
        return None
    check_timezone(timezone)
    if cron is not None:
        return _cron(cron, timezone, day_or)
    if rrule is not None:
        return _rrule(rrule, timezone)
    from penstock.model.schedules import IntervalSchedule

    anchor = times.parse_moment(anchor_date) if anchor_date else None
    return IntervalSchedule(interval=float(interval or 0), anchor_date=anchor, timezone=timezone)


def schedule_text(schedule: Any) -> str:
    """A schedule in a few words."""
    if not isinstance(schedule, dict):
        return ""
    zone = f" ({schedule['timezone']})" if schedule.get("timezone") else ""
    if "cron" in schedule:
        return f"cron {schedule['cron']}{zone}"
    if "interval" in schedule:
        return f"every {times.span(schedule['interval'])}{zone}"
    return f"rrule {schedule.get('rrule')}{zone}"


def check_timezone(name: str | None) -> None:
    """Raise UsageProblem with the nearest name if there is no such time zone."""
    if name is None:
        return
    try:
        ZoneInfo(name)
    except (ValueError, KeyError, OSError):
        raise UsageProblem(f"There is no time zone {name!r}.{did_you_mean(name, available_timezones())}") from None


def _cron(text: str, timezone: str | None, day_or: bool | None) -> "Schedule":
    from cronsim import CronSim, CronSimError

    from penstock.model.schedules import CronSchedule

    try:
        if not text.startswith("@"):
            CronSim(text, clock.now())
        schedule = CronSchedule(cron=text, timezone=timezone, day_or=True if day_or is None else day_or)
    except (CronSimError, ValueError) as error:
        reason = error if isinstance(error, CronSimError) else "it needs five fields"
        raise UsageProblem(
            f"{text!r} is no cron expression: {reason}.",
            hint="Five fields: minute hour day month weekday, e.g. '0 9 * * 1-5'.",
        ) from None
    return schedule


def _rrule(text: str, timezone: str | None) -> "Schedule":
    """An RFC 5545 rule, or a JSON object with `rrule` and `timezone`."""
    from dateutil.rrule import rrulestr

    from penstock.model.schedules import RRuleSchedule

    values: dict[str, Any] = {"rrule": text}
    if text.lstrip().startswith("{"):
        try:
            values = dict(json.loads(text))
        except ValueError as error:
            raise UsageProblem(f"--rrule is not valid JSON: {error}") from None
    values.setdefault("timezone", timezone)
    check_timezone(values["timezone"])
    try:
        rrulestr(str(values.get("rrule")))
        return RRuleSchedule(**values)
    except (ValueError, TypeError, KeyError) as error:
        raise UsageProblem(
            f"{values.get('rrule')!r} is no recurrence rule: {error}.", hint="E.g. 'FREQ=WEEKLY;BYDAY=MO,WE'."
        ) from None
