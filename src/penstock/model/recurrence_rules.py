"""The text of recurrence rules (RFC 5545), read. All its times become the wall clock of one time zone."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from math import prod
from typing import Any
from zoneinfo import ZoneInfo

#: Where a rule that does not say it is counted from, by the wall clock.
START = datetime(2020, 1, 1, tzinfo=UTC).replace(tzinfo=None)
#: Most characters of the text; most times of a rule with COUNT, all of which are counted through at each look.
MOST_CHARACTERS, MOST_COUNTED = 6500, 10_000
EARLIEST_YEAR = 1970
#: Most times of day that one rule names.
MOST_TIMES_OF_DAY = 288
_DATE = re.compile(r"(\d{8})(?:T(\d{6})(Z?))?")
_UNTIL = re.compile(r"(?<=UNTIL=)[0-9TZ]+")
#: The most days that months have, from January.
_LONGEST = dict(enumerate((31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31), start=1))


@dataclass(frozen=True)
class Recurrence:
    """What `rules` and `dates` give without what `exceptions` and `left_out` take away. Rules are dateutil's."""

    rules: tuple[Any, ...]
    exceptions: tuple[Any, ...]
    dates: tuple[datetime, ...]
    left_out: frozenset[datetime]
    zone: tzinfo


@dataclass(frozen=True)
class _Line:
    """``NAME;PARAMETER=…:VALUE``."""

    name: str
    value: str
    timezone: str | None


@lru_cache(maxsize=2048)
def read_recurrence(text: str, timezone: str | None) -> Recurrence:
    """The recurrence that `text` writes, in `timezone`, else in that of its DTSTART, else in UTC.

    Raises ValueError, with the reason, if it cannot be understood or is too much to compute.
    """
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"a recurrence rule of {len(text)} characters is too long: {MOST_CHARACTERS} at most")
    try:
        return _read(list(_lines(text)), timezone)
    except (ValueError, TypeError, AttributeError, KeyError, OverflowError) as error:
        shown = text if len(text) <= 100 else f"{text[:97]}..."
        raise ValueError(f"{shown!r} is no recurrence rule: {error}") from None


def _lines(text: str) -> Iterator[_Line]:
    for line in text.replace("\r\n ", "").replace("\n ", "").split():
        head, colon, value = line.partition(":")
        name, *parameters = head.split(";") if colon else ["RRULE"]
        timezone = None
        for parameter in parameters:
            key, _, said = parameter.partition("=")
            if key.upper() == "TZID":
                timezone = said
            elif key.upper() != "VALUE" or said.upper() not in ("DATE", "DATE-TIME"):
                raise ValueError(f"{parameter} is not supported")
        yield _Line(name.upper(), (value if colon else line).upper(), timezone)


def _read(lines: list[_Line], timezone: str | None) -> Recurrence:
    starts = [line for line in lines if line.name == "DTSTART"]
    if len(starts) > 1:
        raise ValueError("it has more than one DTSTART")
    named = timezone or next((line.timezone for line in starts if line.timezone), None)
    zone = ZoneInfo(named) if named else UTC
    start = next((_dates(line, zone)[0] for line in starts), START)
    if start.year < EARLIEST_YEAR:
        raise ValueError(f"DTSTART lies before {EARLIEST_YEAR}")
    found: dict[str, list[Any]] = {"RRULE": [], "EXRULE": [], "RDATE": [], "EXDATE": []}
    for line in lines:
        if line.name in ("RRULE", "EXRULE"):
            found[line.name].append(_rule(line.value, start, zone))
        elif line.name in ("RDATE", "EXDATE"):
            found[line.name] += _dates(line, zone)
        elif line.name != "DTSTART":
            raise ValueError(f"{line.name} is not one of DTSTART, RRULE, RDATE, EXRULE and EXDATE")
    if not found["RRULE"] and not found["RDATE"]:
        raise ValueError("it has no RRULE")
    return Recurrence(
        rules=tuple(found["RRULE"]),
        exceptions=tuple(found["EXRULE"]),
        dates=tuple(sorted(found["RDATE"])),
        left_out=frozenset(found["EXDATE"]),
        zone=zone,
    )


def _dates(line: _Line, zone: tzinfo) -> list[datetime]:
    own = ZoneInfo(line.timezone) if line.timezone else zone
    return [_wall_time(date, zone, own) for date in line.value.split(",")]


def _wall_time(text: str, zone: tzinfo, own: tzinfo) -> datetime:
    """A time as the clocks of `zone` show it; `text` is by those of `own`, or of UTC if it ends with Z."""
    match = _DATE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text} is no date: 20300131 or 20300131T090000, with Z if it is UTC")
    shown = datetime.strptime(match[1] + (match[2] or "000000"), "%Y%m%d%H%M%S")  # noqa: DTZ007 (it gets its zone below)
    told = UTC if match[3] else own
    return shown if told is zone else shown.replace(tzinfo=told).astimezone(zone).replace(tzinfo=None, fold=0)


def _rule(text: str, start: datetime, zone: tzinfo) -> Any:
    from dateutil.rrule import rrulestr

    if "COUNT=" in text and "UNTIL=" in text:
        raise ValueError("COUNT and UNTIL exclude each other")
    text = _UNTIL.sub(lambda match: f"{_wall_time(match[0], zone, zone):%Y%m%dT%H%M%S}", text)
    rule: Any = rrulestr(text, dtstart=start)
    if rule._interval < 1:
        raise ValueError("INTERVAL is at least 1")
    if rule._count is not None and not 1 <= rule._count <= MOST_COUNTED:
        raise ValueError(f"COUNT lies between 1 and {MOST_COUNTED}")
    named = [len(values) for values in (rule._byhour, rule._byminute, rule._bysecond) if values]
    if prod(named) > MOST_TIMES_OF_DAY:
        raise ValueError(f"it names more than {MOST_TIMES_OF_DAY} times of day: count by FREQ=MINUTELY")
    _refuse_barren(rule)
    return rule


def _refuse_barren(rule: Any) -> None:
    """Raise ValueError if there is no time at which the rule comes.

    Days are looked for year by year first: a rule that counts by less would look for a day that never is for minutes.
    """
    from dateutil.rrule import WEEKLY, YEARLY

    days: Any = rule
    if rule._bymonth and rule._bymonthday and not rule._bynmonthday:
        longest = max(_LONGEST[month] for month in rule._bymonth)
        if min(rule._bymonthday) > longest:
            raise ValueError("there is no such day")
    if rule._freq >= WEEKLY:
        midnight = {"byhour": 0, "byminute": 0, "bysecond": 0}
        days = rule.replace(freq=YEARLY, interval=1, count=None, until=None, bysetpos=None, **midnight)
    if next(iter(days), None) is None or next(iter(rule), None) is None:
        raise ValueError("there is no such day, or DTSTART lies after UNTIL")
