"""What the clocks of a place show, and when. Pure.

When clocks go forward, some times of day are left out; when they go back, some come twice.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta, tzinfo

#: Clocks have gone back by less than that, whenever they did.
_LONGEST_REPEAT = timedelta(hours=25)


def offsets(shown: datetime, zone: tzinfo) -> tuple[timedelta, timedelta]:
    """The offsets before and after a change of clocks at which `shown` is left out or comes twice; else one, twice."""
    before = shown.replace(tzinfo=zone, fold=0).utcoffset()
    after = shown.replace(tzinfo=zone, fold=1).utcoffset()
    return before or timedelta(0), after or timedelta(0)


def shown_before(instant: datetime, zone: tzinfo) -> datetime:
    """What the clocks show, wound back by as much as they go back around that time: they show nothing earlier later on."""
    shown = instant.astimezone(zone).replace(tzinfo=None, fold=0)
    if zone is UTC:
        return shown
    around = [instant + distance for distance in (-_LONGEST_REPEAT, timedelta(0), _LONGEST_REPEAT)]
    before, now, after = (one.astimezone(zone).utcoffset() or timedelta(0) for one in around)
    return shown - max(timedelta(0), before - now, now - after)


def instants(shown_times: Iterable[datetime], zone: tzinfo, step: timedelta | None) -> Iterator[datetime]:
    """When clocks show these times (naive, rising), in UTC, not falling.

    A time that comes twice counts the first time, and one that is left out counts right after the change; so each has one
    instant. Times that follow each other at `step` or closer are different if the change is at least as long as that: they
    count both times, and those that are left out do not count, so that they keep their pace. None: never.
    """
    if zone is UTC:
        for shown in shown_times:
            yield shown.replace(tzinfo=UTC)
        return
    again: list[datetime] = []
    for shown in shown_times:
        before, after = offsets(shown, zone)
        first = (shown - before).replace(tzinfo=UTC)
        while again and (before == after or again[0] <= first):
            yield again.pop(0)
        if before == after:
            yield first
            continue
        keeps_pace = step is not None and step <= abs(after - before)
        if before > after:
            yield first
            if keeps_pace:
                again.append((shown - after).replace(tzinfo=UTC))
        elif not keeps_pace:
            yield change_within((shown - after).replace(tzinfo=UTC), first, zone)
    yield from again


def change_within(earlier: datetime, later: datetime, zone: tzinfo) -> datetime:
    """The instant between these two, in UTC, from which on the offset is that of `later`; to the second."""
    wanted = later.astimezone(zone).utcoffset()
    earlier, later = earlier.replace(microsecond=0), (later + timedelta(microseconds=999_999)).replace(microsecond=0)
    while later - earlier > timedelta(seconds=1):
        middle = (earlier + (later - earlier) / 2).replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == wanted:
            later = middle
        else:
            earlier = middle
    return later
