"""What a server remembers of small tables that every request looks at and hardly any changes."""

import threading
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from penstock import clock

T = TypeVar("T")


class Memory:
    """Values by topic. One is read anew when this server has committed a change of it (a transaction that notified its
    topic), and after some seconds, because another server on the same database may have changed it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: topic -> how often it was forgotten, until when the value holds (monotonic), the value
        self._values: dict[str, tuple[int, float, Any]] = {}

    def recall(self, topic: str, read: Callable[[], T], seconds: float) -> T:
        """The value of `topic`, `read` at most `seconds` ago."""
        forgotten, until, value = self._values.get(topic) or self._values.setdefault(topic, (0, 0.0, None))
        if clock.monotonic() < until:
            kept: T = value
            return kept
        fresh = read()
        with self._lock:
            # if it was changed meanwhile, nobody knows which of the two was read
            if self._values[topic][0] == forgotten:
                self._values[topic] = (forgotten, clock.monotonic() + seconds, fresh)
        return fresh

    def forget(self, topics: Iterable[str]) -> None:
        """These have changed."""
        for topic in topics:
            if topic in self._values:
                with self._lock:
                    self._values[topic] = (self._values[topic][0] + 1, 0.0, None)
