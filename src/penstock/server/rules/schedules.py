"""When a schedule is due. Pure: a schedule and a time in, times out."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from penstock.model.schedules import CronSchedule, IntervalSchedule, RRuleSchedule, Schedule

#: Where intervals and rules without a start are counted from.
EPOCH = datetime(2020, 1, 1, tzinfo=UTC).replace(tzinfo=None)
DAY = 86_400.0
ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
#: Seconds of the frequencies whose rules may be wound forward without changing what they mean.
_PERIODS = {"SECONDLY": 1, "MINUTELY": 60, "HOURLY": 3600, "DAILY": 86_400, "WEEKLY": 604_800}


def upcoming(schedule: Schedule, after: datetime) -> Iterator[datetime]:
    """The schedule's times later than `after`, in UTC, in order, each once.

    Raises ValueError if the schedule cannot be understood. An hour that a clock change leaves out is made up for right
    after it;
    one that comes twice counts once for schedules by the calendar.
    """
    zone = ZoneInfo(schedule.timezone) if schedule.timezone else UTC
    if isinstance(schedule, CronSchedule):
        times = _cron(schedule, after, zone)
    elif isinstance(schedule, IntervalSchedule):
        times = _interval(schedule, after, zone)
    else:
        times = _rrule(schedule, after, zone)
    last = after
    for time in times:
        if time > last:
            last = time
            yield time


def planned(
    schedule: Schedule, now: datetime, *, least: int, most: int, cover: timedelta, ahead: timedelta
) -> list[datetime]:
    """The times to plan at `now`: as many as `cover` holds, at least `least` and at most `most` of them.

    None is further off than `ahead`, but for the first.
    """
    times: list[datetime] = []
    for time in islice(upcoming(schedule, now), most):
        if times and (time > now + ahead or (len(times) >= least and time > now + cover)):
            break
        times.append(time)
    return times


def _cron(schedule: CronSchedule, after: datetime, zone: tzinfo) -> Iterator[datetime]:
    from cronsim import CronSim, CronSimError

    expression = ALIASES.get(schedule.cron.lower(), schedule.cron)
    start = after.astimezone(zone)
    fields = expression.split()
    both_days = len(fields) == 5 and not fields[2].startswith("*") and not fields[4].startswith("*")
    try:
        if schedule.day_or or not both_days:
            return (time.astimezone(UTC) for time in CronSim(expression, start))
        by_date = CronSim(" ".join([*fields[:4], "*"]), start)
        by_weekday = CronSim(" ".join([*fields[:2], "*", fields[3], fields[4]]), start)
        return (time.astimezone(UTC) for time in _common(by_date, by_weekday))
    except CronSimError as error:
        raise ValueError(f"{schedule.cron!r} is no cron expression: {error}") from None


def _common(first: Iterator[datetime], second: Iterator[datetime]) -> Iterator[datetime]:
    """What two sorted streams have in common."""
    a, b = next(first, None), next(second, None)
    while a is not None and b is not None:
        if a == b:
            yield a
        if a <= b:
            a = next(first, None)
        else:
            b = next(second, None)


def _interval(schedule: IntervalSchedule, after: datetime, zone: tzinfo) -> Iterator[datetime]:
    anchor = schedule.anchor_date or EPOCH.replace(tzinfo=zone)
    if anchor.tzinfo is None:
        anchor = anchor.replace(tzinfo=zone)
    step = timedelta(seconds=schedule.interval)
    if schedule.interval % DAY == 0:
        # whole days keep their time of day when clocks change
        local = anchor.astimezone(zone).replace(tzinfo=None)
        number = (after.astimezone(zone).replace(tzinfo=None) - local) // step
        while True:
            yield (local + number * step).replace(tzinfo=zone).astimezone(UTC)
            number += 1
    anchor = anchor.astimezone(UTC)
    number = (after - anchor) // step
    while True:
        yield anchor + number * step
        number += 1


def _rrule(schedule: RRuleSchedule, after: datetime, zone: tzinfo) -> Iterator[datetime]:
    from dateutil.rrule import rrulestr

    local = after.astimezone(zone).replace(tzinfo=None)
    try:
        rule: Any = rrulestr(schedule.rrule, dtstart=_start(schedule.rrule, local), ignoretz=True)
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{schedule.rrule!r} is no recurrence rule: {error}") from None
    for time in rule.xafter(local - timedelta(hours=3)):
        yield time.replace(tzinfo=zone).astimezone(UTC)


def _start(text: str, after: datetime) -> datetime:
    """Where to count a rule from that does not say so: close to now, so that years of times need not be counted
    through."""
    fields = dict(part.split("=", 1) for part in text.upper().removeprefix("RRULE:").split(";") if "=" in part)
    period = _PERIODS.get(fields.get("FREQ", ""))
    if "\n" in text or period is None or "COUNT" in fields or after <= EPOCH:
        return EPOCH
    step = timedelta(seconds=period * max(1, int(fields.get("INTERVAL", "1"))))
    return EPOCH + max(0, (after - EPOCH) // step - 1) * step
