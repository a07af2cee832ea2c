"""Times of what happens in this process, each later than the one before.

The server orders states and log lines by their time. Two that fall into one microsecond would lose their order, so
none do.
"""

import threading
from datetime import datetime, timedelta

from penstock import clock

_STEP = timedelta(microseconds=1)
#: reentrant: a signal handler of the program may log while its thread is in here
_lock = threading.RLock()
_last: datetime | None = None


def forked() -> None:
    """This is a fork: whoever held the lock stayed behind."""
    global _lock
    _lock = threading.RLock()


def moment() -> datetime:
    """The present, at least one microsecond later than any moment given before in this process."""
    global _last
    with _lock:
        now = clock.now()
        if _last is not None and now <= _last:
            now = _last + _STEP
        _last = now
    return now
