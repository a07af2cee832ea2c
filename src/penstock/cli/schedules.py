"""Schedules on the command line: cron, interval, rrule, each checked before anything is sent."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from penstock.cli import times
from penstock.cli.errors import UsageProblem

if TYPE_CHECKING:
    from penstock.model.schedules import Schedule

_HINTS = {
    "CronSchedule": "Five fields: minute hour day month weekday, e.g. '0 9 * * 1-5', and a zone like Europe/Berlin.",
    "RRuleSchedule": "E.g. 'FREQ=WEEKLY;BYDAY=MO,WE'.",
    "IntervalSchedule": "The interval is in seconds; a zone is named like Europe/Berlin.",
}

_OPTIONS = (
    click.option("--interval", type=click.FloatRange(min=0, min_open=True), help="Run every so many seconds."),
    click.option("--anchor-date", metavar="TIME", help="From when --interval counts."),
    click.option("--rrule", metavar="RULE", help="Run by this recurrence rule (RFC 5545)."),
    click.option("--cron", metavar="EXPRESSION", help="Run by this cron expression."),
    click.option(
        "--day_or", "day_or", metavar="BOOL", type=bool, help="Whether day of month and weekday are joined by or."
    ),
    click.option("--timezone", metavar="ZONE", help="Time zone of the schedule, e.g. Europe/Berlin."),
)
#: What the parameters are called that `schedule_options` gives to a command.
NAMES = ("interval", "anchor_date", "rrule", "cron", "day_or", "timezone")
CATCHUP = click.option(
    "--catchup",
    type=click.Choice(["all", "latest", "skip"]),
    help="What becomes of missed times: all run, the latest runs, or none.  [default: all]",
)


def schedule_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: the options that say when a schedule is due."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


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
    if cron is not None:
        from penstock.model.schedules import CronSchedule

        return _checked(CronSchedule(cron=cron, timezone=timezone, day_or=True if day_or is None else day_or))
    if rrule is not None:
        return _checked(_rrule(rrule, timezone))
    from penstock.model.schedules import IntervalSchedule

    anchor = times.parse_moment(anchor_date) if anchor_date else None
    return _checked(IntervalSchedule(interval=float(interval or 0), anchor_date=anchor, timezone=timezone))


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


def _checked(schedule: "Schedule") -> "Schedule":
    from penstock.model.schedule_checks import check_schedule

    try:
        check_schedule(schedule)
    except ValueError as error:
        text = str(error)
        end = "" if text.endswith("?") else "."
        raise UsageProblem(f"{text[:1].upper()}{text[1:]}{end}", hint=_HINTS[type(schedule).__name__]) from None
    return schedule


def _rrule(text: str, timezone: str | None) -> "Schedule":
    """An RFC 5545 rule, or a JSON object with `rrule` and `timezone`."""
    from penstock.model.schedules import RRuleSchedule

    values: dict[str, Any] = {"rrule": text}
    if text.lstrip().startswith("{"):
        try:
            values = dict(json.loads(text))
            return RRuleSchedule(**{"timezone": timezone, **values})
        except ValueError as error:
            raise UsageProblem(f"--rrule is not valid JSON of a rule: {error}") from None
    return RRuleSchedule(rrule=text.replace("\\n", "\n"), timezone=timezone)
