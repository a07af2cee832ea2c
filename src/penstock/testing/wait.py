"""Waiting for something to become true, with a deadline."""

import time
from collections.abc import Callable
from typing import TypeVar

from penstock import clock

T = TypeVar("T")


def wait_until(predicate: Callable[[], T], timeout: float = 120, message: str = "", *, interval: float = 0.02) -> T:
    """Call `predicate` until it returns something true, and return that.

    Raises AssertionError with `message` and the last value after `timeout` seconds. An exception of `predicate` ends
    the waiting at once.
    """
    deadline = clock.monotonic() + timeout
    while True:
        value = predicate()
        if value:
            return value
        if clock.monotonic() >= deadline:
            what = message or getattr(predicate, "__name__", "the condition")
            raise AssertionError(f"not true after {timeout:g} s: {what} (the last value was {value!r})")
        time.sleep(interval)
