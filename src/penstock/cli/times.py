"""Points in time and durations, read from and written for people."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from penstock import clock
from penstock.cli.errors import UsageProblem

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_PART = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*(?:,|and)?\s*", re.IGNORECASE)


def parse_duration(text: str) -> timedelta:
    """A length of time: "90", "90s", "1h30m", "2 hours", "1 day and 6 hours". Raises UsageProblem."""
    try:
        return timedelta(seconds=float(text))
    except ValueError:
        pass
    seconds, end = 0.0, 0
    while end < len(text):
        match = _PART.match(text, end)
        if match is None or (unit := _UNITS.get(_short(match[2]))) is None:
            raise UsageProblem(f"{text!r} is not a length of time.", hint="Accepted: 90s, 15m, 1h30m, '2 hours', 7d.")
        seconds += float(match[1]) * unit
        end = match.end()
    return timedelta(seconds=seconds)


def _short(unit: str) -> str:
    word = unit.lower()
    if word in {"sec", "secs", "second", "seconds", "min", "mins", "minute", "minutes", "hour", "hours", "hr", "hrs"}:
        return word[0]
    return word[0] if word in {"day", "days", "week", "weeks", *_UNITS} else word


def parse_moment(text: str, now: Callable[[], datetime] = clock.now) -> datetime:
    """A point in time: ISO 8601, or whatever dateutil reads, or "now"; local time zone unless it names one."""
    if text.strip().lower() == "now":
        return now()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        from dateutil import parser

        try:
            moment = parser.parse(text)
        except (ValueError, OverflowError):
            raise UsageProblem(
                f"{text!r} is not a point in time.", hint="Accepted: 2030-01-31T09:00, '31 Jan 2030 9:00', now."
            ) from None
    return moment.astimezone(UTC)


def ago(value: object) -> str:
    """A point in time as people say it: "3 min ago", "in 2 h"; nothing for None."""
    moment = _moment(value)
    if moment is None:
        return ""
    seconds = (clock.now() - moment).total_seconds()
    return f"{span(seconds)} ago" if seconds >= 0 else f"in {span(-seconds)}"


def span(seconds: object) -> str:
    """A length in seconds as people say it: "0.4 s", "12 s", "3 min", "2 h 5 min", "4 d"; nothing for None."""
    if not isinstance(seconds, int | float):
        return ""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min"
    if seconds < 86400:
        hours, rest = divmod(int(seconds), 3600)
        return f"{hours} h {rest // 60} min" if rest >= 60 else f"{hours} h"
    return f"{seconds // 86400:.0f} d"


def span_if_any(seconds: object) -> str:
    """`span`, and nothing for what has not begun."""
    return span(seconds) if seconds else ""


def clock_time(value: object) -> str:
    """The time of day in the local zone with milliseconds, as log lines begin."""
    moment = _moment(value)
    return moment.astimezone().strftime("%H:%M:%S.%f")[:-3] if moment else "            "


def _moment(value: object) -> datetime | None:
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return value if isinstance(value, datetime) else None
