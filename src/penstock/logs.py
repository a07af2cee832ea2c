"""Logging of our own processes: lines on standard error, ``HH:MM:SS.mmm | LEVEL   | name - message``."""

import logging
import sys
from typing import IO

FORMAT = "%(asctime)s.%(msecs)03d | %(levelname)-7s | %(name)s - %(message)s"
TIME_FORMAT = "%H:%M:%S"


def configure(level: str | int = "INFO", stream: IO[str] | None = None) -> None:
    """Send the lines of Penstock's loggers from `level` up to `stream` (standard error), and of all others warnings.

    Called once by each of our own programs, never by the library. Called again, it replaces what it did before. Raises
    ConfigurationError for an unknown level.
    """
    number = level_number(level)
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(logging.Formatter(FORMAT, TIME_FORMAT))
    root = logging.getLogger()
    for old in [old for old in root.handlers if getattr(old, "of_penstock", False)]:
        root.removeHandler(old)
    handler.of_penstock = True  # type: ignore[attr-defined]
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger("penstock").setLevel(number)


def level_number(level: str | int) -> int:
    """The number of a level given by name or number. Raises ConfigurationError for an unknown name."""
    if isinstance(level, int):
        return level
    known = logging.getLevelNamesMapping()
    number = known.get(level.strip().upper())
    if number is None:
        from penstock.errors import ConfigurationError, did_you_mean

        raise ConfigurationError(
            f"There is no logging level {level!r}.{did_you_mean(level.upper(), known)}",
            hint="Use DEBUG, INFO, WARNING, ERROR or CRITICAL.",
        )
    return number
