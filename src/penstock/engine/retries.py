"""How long a task waits before it is run again. Pure."""

import random
from collections.abc import Callable, Sequence

from penstock.engine.protocols import Delays

#: Not the generator that user code may have seeded.
_chance = random.Random().random


def delays_of(delay: Delays, retries: int) -> list[float]:
    """One delay in seconds for each of `retries`; a list that is too short repeats its last, an empty one is none."""
    if callable(delay):
        delay = delay(retries)
    if isinstance(delay, Sequence):
        given = [float(seconds) for seconds in delay] or [0.0]
        return [given[min(n, len(given) - 1)] for n in range(retries)]
    return [float(delay)] * retries


def jittered(seconds: float, factor: float | None, chance: Callable[[], float] = _chance) -> float:
    """`seconds` and up to `factor` times as much on top, by chance, so that many retries do not come at once."""
    return seconds * (1 + chance() * factor) if factor else seconds
