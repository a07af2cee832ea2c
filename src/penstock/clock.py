"""The one door through which time comes in: tests hold it still, everything else asks it."""

import time
from datetime import UTC, datetime


def now() -> datetime:
    """The present, as an aware datetime in UTC."""
    return datetime.now(UTC)


def monotonic() -> float:
    """Seconds from an arbitrary start that never run backwards: for durations and deadlines within one process."""
    return time.monotonic()
