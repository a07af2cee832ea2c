"""Telling several tasks of the event loop that something has changed."""

import asyncio
from collections.abc import Coroutine
from typing import Any


class Changes:
    """What changes again and again. Nobody who waits misses a change, and nobody is told of one from before."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def next(self) -> Coroutine[Any, Any, bool]:
        """To be awaited: the first change after this call, also where the awaiting begins later."""
        return self._next.wait()

    def tell(self) -> None:
        """Something has changed."""
        self._next.set()
        self._next = asyncio.Event()
