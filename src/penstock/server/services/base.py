"""A service: a loop around one operation, which outlives every failure of it and stops at once when it is told to."""

import asyncio
import logging
import random
from abc import ABC, abstractmethod
from contextlib import suppress

from penstock import clock
from penstock.server.database.connection import Database

_log = logging.getLogger("penstock.server.services")

#: Longest wait in seconds after failures in a row.
LONGEST_BACK_OFF = 60.0
#: Part of the interval by which each wait differs at random, so that several servers do not march in step.
JITTER = 0.1


def pause_after(interval: float, failures: int, spread: float) -> float:
    """Seconds to the next tick: the interval, doubled for each failure in a row, `spread` (0 to 1) within the
    jitter."""
    pause: float = min(interval * 2 ** min(failures, 16), max(LONGEST_BACK_OFF, interval))
    return pause * (1 - JITTER / 2 + JITTER * spread)


class Service(ABC):
    """Calls `tick` every `interval` seconds. `ticks` and `failures` count since the start, `last_error` is the newest
    failure."""

    #: Its name in logs and counters.
    name: str

    def __init__(self, database: Database, interval: float) -> None:
        self.database = database
        self.interval = interval
        self.ticks = 0
        self.failures = 0
        self.last_error: BaseException | None = None
        self.last_tick: float | None = None
        self._task: asyncio.Task[None] | None = None

    @abstractmethod
    async def tick(self) -> None:
        """Do the work once. May raise: it is then logged, counted, and tried again later."""

    async def start(self) -> None:
        """Begin the loop. Its first tick comes at once."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"service-{self.name}")

    async def stop(self) -> None:
        """End the loop, in mid-tick if need be: an operation under way in the database is whole or nothing anyway."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _run(self) -> None:
        in_a_row = 0
        while True:
            try:
                await self.tick()
                in_a_row = 0
            except Exception as error:
                in_a_row += 1
                self.failures += 1
                self.last_error = error
                _log.exception("Service %s failed (%d in a row); it goes on", self.name, in_a_row)
            self.ticks += 1
            self.last_tick = clock.monotonic()
            await asyncio.sleep(pause_after(self.interval, in_a_row, random.random()))
