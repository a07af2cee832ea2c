"""What is shown of a schedule's next times. Pure."""

from collections.abc import Iterator
from datetime import datetime, timedelta, tzinfo
from itertools import islice

from penstock.model.schedule_previews import PreviewedTime
from penstock.model.schedules import Schedule
from penstock.server.rules.schedules import upcoming, zone_of


def preview(schedule: Schedule, after: datetime, count: int) -> Iterator[PreviewedTime]:
    """The first `count` times later than `after`. Raises ValueError if the schedule cannot be understood."""
    zone = zone_of(schedule)
    before = after
    for time in islice(upcoming(schedule, after), count):
        local = time.astimezone(zone)
        note = _note(_offset(before, zone), _offset(time - timedelta(seconds=1), zone), local)
        yield PreviewedTime(time=time, local=local.isoformat(), timezone=str(zone), note=note)
        before = time


def _note(before: timedelta, just_before: timedelta, local: datetime) -> str | None:
    """`before` and `just_before`: the offsets at the time before and one second before this time."""
    offset = local.utcoffset() or timedelta(0)
    notes = []
    if offset != before:
        notes.append(f"clocks went {'forward' if offset > before else 'back'} {_span(abs(offset - before))}")
    if local.fold:
        notes.append("second time that they show this")
    if offset > just_before:
        notes.append("right after what they leave out")
    return ", ".join(notes) or None


def _offset(instant: datetime, zone: tzinfo) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta(0)


def _span(length: timedelta) -> str:
    minutes = int(length.total_seconds() // 60)
    hours, rest = divmod(minutes, 60)
    return " ".join(part for part in (f"{hours} h" if hours else "", f"{rest} min" if rest else "") if part)
