"""The text of log lines: what a record says, how it looks to whoever looks on, and how much of it travels. Pure."""

import logging
from datetime import datetime
from typing import Any

#: Bytes at the end of a line that are kept when a traceback is in it: there it says what was raised.
TAIL = 2_000
#: Bytes that the sentence on what was left out takes at most.
_NOTE = 80

_FORMATTER = logging.Formatter()
_COLOURS = ((50, "\x1b[1;31m"), (40, "\x1b[31m"), (30, "\x1b[33m"))

#: the second that was formatted last, in UTC and in local time: neighbouring lines share it
_second: tuple[int, str, str] = (-1, "", "")


def message_of(record: logging.LogRecord) -> str:
    """What the record says, with its traceback and stack. What cannot be formatted is told, never raised."""
    try:
        message = record.getMessage()
    except Exception as error:
        message = f"{_shown(record.msg)} (its arguments {_shown(record.args)} do not fit: {_shown(error)})"
    if record.exc_info:
        message = f"{message}\n{_traceback(record.exc_info)}"
    elif record.exc_text:
        message = f"{message}\n{record.exc_text}"
    if record.stack_info:
        message = f"{message}\n{record.stack_info}"
    return message


def _shown(value: object) -> str:
    try:
        return str(value) if isinstance(value, str | Exception) else repr(value)
    except Exception:
        return f"<{type(value).__name__}>"


def _traceback(exc_info: Any) -> str:
    try:
        return _FORMATTER.formatException(exc_info)
    except Exception:
        return f"{getattr(exc_info[0], '__name__', exc_info)} (its traceback cannot be shown)"


def cut(message: str, most: int, *, keep_end: bool = False) -> tuple[str, int]:
    """At most `most` bytes (in UTF-8) of `message`, and how many characters of it were left out.

    If any were, the last line says so. With `keep_end` they are from its middle.
    """
    if len(message) <= most and message.isascii():
        return message, 0
    data = message.encode("utf-8", "surrogatepass")
    if len(data) <= most:
        return message, 0
    tail = data[-TAIL:] if keep_end and most > 2 * TAIL + _NOTE else b""
    head = data[: most - len(tail) - _NOTE].decode("utf-8", "ignore")
    end = tail.decode("utf-8", "ignore")
    left = len(message) - len(head) - len(end)
    if end:
        return f"{head}\n…\n{end}\n… {left} characters were left out in the middle …", left
    return f"{head}\n… {left} characters were left out …", left


class Stamp:
    """The texts of one time, given in UTC: as it is written into reports (ISO 8601), and as it is shown (local time)."""

    __slots__ = ("local", "utc")

    def __init__(self, timestamp: datetime) -> None:
        global _second
        number = int(timestamp.timestamp())
        known = _second
        if known[0] != number:
            known = (number, f"{timestamp:%Y-%m-%dT%H:%M:%S.}", f"{timestamp.astimezone():%H:%M:%S.}")
            _second = known
        micros = "%06d" % timestamp.microsecond  # noqa: UP031 - twice as fast as a format
        self.utc = known[1] + micros + "Z"
        self.local = known[2] + micros[:3]


def console_text(stamp: Stamp, level: str, title: str, message: str) -> str:
    """A line for whoever looks on."""
    return f"{stamp.local} | {level:<7} | {title} - {message}\n"


def colour_of(level: int) -> str:
    """The escape sequence that lines of that level begin with on a terminal; empty for what is not alarming."""
    return next((colour for threshold, colour in _COLOURS if level >= threshold), "")
