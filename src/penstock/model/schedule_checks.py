"""What is refused where a schedule is written, because it could never make a run."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator

from penstock.errors import did_you_mean
from penstock.model.schedules import CronSchedule, IntervalSchedule, RRuleSchedule, Schedule

if TYPE_CHECKING:
    from cronsim import CronSim

#: Shortest and longest interval in seconds: a hundred years.
SHORTEST_INTERVAL, LONGEST_INTERVAL = 1.0, 36_525 * 86_400.0
ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_FIVE = "five fields are needed, minute hour day-of-month month day-of-week"


def check_schedule(schedule: IntervalSchedule | CronSchedule | RRuleSchedule) -> None:
    """Raise ValueError, with what is wrong and the nearest right one, if no run can come of `schedule`."""
    check_timezone(schedule.timezone)
    if isinstance(schedule, CronSchedule):
        check_cron(schedule.cron, schedule.day_or)
    elif isinstance(schedule, IntervalSchedule):
        if not SHORTEST_INTERVAL <= schedule.interval <= LONGEST_INTERVAL:
            raise ValueError(f"an interval of {schedule.interval:g} s is not between one second and a hundred years")
    else:
        from penstock.model.recurrence_rules import read_recurrence

        read_recurrence(schedule.rrule, schedule.timezone)


def _checked(schedule: Schedule) -> Schedule:
    check_schedule(schedule)
    return schedule


#: A schedule that is asked for: one that could never make a run is refused. One that is kept already is read as it is.
CheckedSchedule = Annotated[Schedule, AfterValidator(_checked)]


def check_timezone(name: str | None) -> None:
    """Raise ValueError with the nearest name if there is no such time zone."""
    if name is None:
        return
    try:
        ZoneInfo(name)
    except (ValueError, KeyError, OSError):
        known = available_timezones()
        raise ValueError(f"there is no time zone {name!r}.{did_you_mean(name, known)}".rstrip(".")) from None


def check_cron(text: str, day_or: bool = True) -> None:
    """Raise ValueError if `text` is no cron expression, or one that never comes."""
    if next(cron_times(text, day_or, datetime(2020, 1, 1, tzinfo=UTC)), None) is None:
        raise ValueError(f"{text!r} is no day of any year")


def cron_times(text: str, day_or: bool, after: datetime) -> "CronSim":
    """The times of a cron expression later than `after`, in its time zone if it has one, for up to fifty years.

    Raises ValueError if `text` is no cron expression.
    """
    from cronsim import CronSim, CronSimError

    expression = ALIASES.get(text.strip().lower(), text)
    fields = expression.split()
    if expression.startswith("@"):
        raise ValueError(f"{text!r} is no cron expression.{did_you_mean(text, ALIASES)}".rstrip("."))
    if len(fields) == 6:
        raise ValueError(f"{text!r} is no cron expression: it has six fields and there are no seconds; {_FIVE}")
    if len(fields) != 5:
        raise ValueError(f"{text!r} is no cron expression: {_FIVE}")
    # a week that is counted to its end on Sunday: FRI-SUN
    fields[4] = fields[4].upper().replace("-SUN", "-7")
    try:
        times = CronSim(" ".join(fields), after)
    except CronSimError as error:
        raise ValueError(f"{text!r} is no cron expression: {error}") from None
    times.day_and = times.day_and or not day_or
    return times
