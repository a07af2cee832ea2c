"""When a schedule is due. Pure: a schedule and a time in, times out."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import islice
from zoneinfo import ZoneInfo

from penstock.model.recurrence_rules import START, read_recurrence
from penstock.model.schedule_checks import ALIASES, cron_times
from penstock.model.schedules import CronSchedule, IntervalSchedule, RRuleSchedule, Schedule
from penstock.server.rules.recurrences import shown_times, step_of
from penstock.server.rules.wall_clock import instants, shown_before

DAY = 86_400.0


def upcoming(schedule: Schedule, after: datetime) -> Iterator[datetime]:
    """The schedule's times later than `after`, in UTC, in order, each once. No end of time is looked at.

    Raises ValueError if the schedule cannot be understood.
    """
    if isinstance(schedule, CronSchedule):
        times = _cron(schedule, after)
    elif isinstance(schedule, IntervalSchedule):
        times = _interval(schedule, after)
    else:
        times = _rrule(schedule, after)
    last = after
    try:
        for time in times:
            if time > last:
                last = time
                yield time
    except OverflowError:
        return  # the calendar of this machine ends


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


def missed(schedule: Schedule, after: datetime, now: datetime, most: int) -> list[datetime]:
    """The schedule's times later than `after` and not later than `now`: the newest `most` of them, in order."""
    back = timedelta(seconds=most)
    while True:
        start = max(after, now - back)
        found = list(_until(schedule, start, now))
        if len(found) >= most or start == after:
            return found[-most:]
        back *= 8


def zone_of(schedule: Schedule) -> tzinfo:
    """The time zone whose clocks the schedule goes by. Raises ValueError if there is no such zone."""
    if isinstance(schedule, RRuleSchedule):
        return read_recurrence(schedule.rrule, schedule.timezone).zone
    return _zone(schedule.timezone)


def _until(schedule: Schedule, after: datetime, end: datetime) -> Iterator[datetime]:
    for time in upcoming(schedule, after):
        if time > end:
            return
        yield time


def _zone(name: str | None) -> tzinfo:
    try:
        return ZoneInfo(name) if name and name != "UTC" else UTC
    except (KeyError, OSError) as error:
        raise ValueError(f"there is no time zone {name!r}") from error


def _shown(instant: datetime, zone: tzinfo) -> datetime:
    return instant.astimezone(zone).replace(tzinfo=None, fold=0)


def _cron(schedule: CronSchedule, after: datetime) -> Iterator[datetime]:
    zone = _zone(schedule.timezone)
    minute, hour = ALIASES.get(schedule.cron.strip().lower(), schedule.cron).split()[:2]
    step = timedelta(0) if minute.startswith("*") or hour.startswith("*") else None
    return instants(cron_times(schedule.cron, schedule.day_or, shown_before(after, zone)), zone, step)


def _interval(schedule: IntervalSchedule, after: datetime) -> Iterator[datetime]:
    zone = _zone(schedule.timezone)
    anchor = schedule.anchor_date or START
    if anchor.tzinfo is None:
        anchor = anchor.replace(tzinfo=zone)
    step = timedelta(seconds=schedule.interval)
    if schedule.interval % DAY == 0:
        shown = _shown(anchor, zone)
        return instants(_steps(shown, step, _shown(after, zone)), zone, None)
    return _steps(anchor.astimezone(UTC), step, after)


def _steps(anchor: datetime, step: timedelta, after: datetime) -> Iterator[datetime]:
    """`anchor` and whole steps from it, both ways, from shortly before `after` on."""
    number = (after - anchor) // step
    while True:
        yield anchor + number * step
        number += 1


def _rrule(schedule: RRuleSchedule, after: datetime) -> Iterator[datetime]:
    recurrence = read_recurrence(schedule.rrule, schedule.timezone)
    shown = shown_times(recurrence, shown_before(after, recurrence.zone))
    return instants(shown, recurrence.zone, step_of(recurrence))
