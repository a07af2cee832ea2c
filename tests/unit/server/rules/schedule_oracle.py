"""When schedules are due, found another way: croniter and dateutil count wall-clock times, and which instants show them is
found by looking at the clocks of the zone, never by asking for the fold of a time."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from croniter import croniter
from dateutil.rrule import rrulestr

from penstock.model.schedules import CronSchedule, IntervalSchedule, RRuleSchedule, Schedule

#: More than clocks were ever put back at once in the years that are looked at.
BACK = timedelta(hours=8)
_UNITS = {"HOURLY": 3600, "MINUTELY": 60, "SECONDLY": 1}


def shown(instant: datetime, zone: ZoneInfo) -> datetime:
    return instant.astimezone(zone).replace(tzinfo=None)


@cache
def changes(zone: ZoneInfo) -> list[datetime]:
    """Every instant from 1975 to 2036 at which the clocks of the zone are changed, to the second."""
    found = []
    day, step = datetime(1975, 1, 1, tzinfo=UTC), timedelta(days=5)
    while day.year < 2036:
        early, late = day, day + step
        if _offset(early, zone) != _offset(late, zone):
            while late - early > timedelta(seconds=1):
                middle = (early + (late - early) / 2).replace(microsecond=0)
                early, late = (middle, late) if _offset(middle, zone) == _offset(early, zone) else (early, middle)
            found.append(late)
        day += step
    return found


def _offset(instant: datetime, zone: ZoneInfo) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta(0)


def instants_of(time: datetime, zone: ZoneInfo) -> list[datetime]:
    """All instants at which the clocks show `time`; none if they leave it out."""
    around = {_offset(time.replace(tzinfo=UTC) + timedelta(hours=hours), zone) for hours in (-36, 36)}
    tried = {(time - offset).replace(tzinfo=UTC) for offset in around}
    return sorted(instant for instant in tried if shown(instant, zone) == time)


def due(times: Iterable[datetime], zone: ZoneInfo, step: timedelta | None) -> Iterator[datetime]:
    for time in times:
        found = instants_of(time, zone)
        all_changes = changes(zone)
        if len(found) == 1:
            yield found[0]
            continue
        if found:
            size = found[1] - found[0]
            yield from found if step is not None and step <= size else found[:1]
            continue
        # left out: the change is the last one after which the clocks show more
        near = all_changes[bisect_left(all_changes, time.replace(tzinfo=UTC) - timedelta(hours=30)) :]
        change = next(one for one in near if shown(one, zone) > time >= shown(one - timedelta(seconds=1), zone))
        size = _offset(change, zone) - _offset(change - timedelta(seconds=1), zone)
        if step is None or step > size:
            yield change


def wall_times(schedule: Schedule, start: datetime) -> tuple[Iterator[datetime], timedelta | None]:
    """Wall-clock times from `start` on, and how far apart they are if the schedule counts them."""
    if isinstance(schedule, CronSchedule):
        minute, hour = schedule.cron.split()[:2]
        found = croniter(schedule.cron, start, day_or=schedule.day_or)
        counts = minute[0] == "*" or hour[0] == "*"
        return iter(lambda: found.get_next(datetime), None), timedelta(0) if counts else None
    if isinstance(schedule, RRuleSchedule):
        rule: Any = rrulestr(schedule.rrule, dtstart=datetime(2020, 1, 1))  # noqa: DTZ001
        parts = dict(part.split("=") for part in schedule.rrule.splitlines()[-1].removeprefix("RRULE:").split(";"))
        unit = _UNITS.get(parts["FREQ"])
        counts = unit is not None and not (parts["FREQ"] == "HOURLY" and "BYHOUR" in parts)
        step = timedelta(seconds=unit * int(parts.get("INTERVAL", 1))) if counts and unit else None
        return iter(rule.xafter(start, inc=True)), step
    raise TypeError(schedule)


def expected(schedule: Schedule, after: datetime, count: int) -> list[datetime]:
    """The first `count` times of the schedule later than `after`."""
    zone = ZoneInfo(schedule.timezone or "UTC")
    if isinstance(schedule, IntervalSchedule):
        anchor = schedule.anchor_date
        assert anchor is not None
        step = timedelta(seconds=schedule.interval)
        if schedule.interval % 86_400:
            first = (after - anchor) // step + 1
            return [anchor + (first + number) * step for number in range(count)]
        local = shown(anchor, zone)
        first = (shown(after, zone) - local) // step - 2
        times = [local + (first + number) * step for number in range(count + 8)]
        return sorted({time for time in due(times, zone, None) if time > after})[:count]
    times, pace = wall_times(schedule, shown(after, zone) - BACK)
    found: set[datetime] = set()
    last = None
    for time in times:
        found.update(instant for instant in due([time], zone, pace) if instant > after)
        if last is None and len(found) >= count:
            last = time
        if last is not None and time - last > BACK:
            break
    return sorted(found)[:count]
