"""How long to wait before something that failed is tried again."""

import random

#: Nobody listens: it may be back any moment, and asking costs nothing.
REFUSED_CAP = 5.0
#: Anything else.
FAILURE_CAP = 30.0


class Backoff:
    """Delays that double from `first` to `cap` seconds, each with jitter of a half, until `reset`."""

    def __init__(self, first: float = 0.25, cap: float = FAILURE_CAP) -> None:
        self._first, self._cap, self._failures = first, cap, 0

    @property
    def failures(self) -> int:
        return self._failures

    def next(self, cap: float | None = None) -> float:
        """Count one more failure; the seconds to wait now."""
        longest = min(self._cap, cap or self._cap)
        delay = min(longest, self._first * 2.0 ** min(self._failures, 30))
        self._failures += 1
        return delay * random.uniform(0.5, 1.0)

    def reset(self) -> None:
        self._failures = 0
