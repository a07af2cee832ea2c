"""Nothing in an agent dies silently: loops are started again, failures logged, and a thread watches the event loop."""

import asyncio
import faulthandler
import logging
import os
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from penstock import clock
from penstock.agent.backoff import Backoff
from penstock.errors import PenstockError

_log = logging.getLogger("penstock.agent")

#: Exit status of an agent whose loop made no progress (EX_SOFTWARE).
EXIT_STUCK = 70


class Supervisor:
    """Owns every task of the agent. `failures` counts, per name, how often one ended with an exception."""

    def __init__(self) -> None:
        self.failures: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def keep(self, name: str, loop: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
        """Run `loop` until it returns; if it raises, log it and run it again after a growing delay."""
        return self.spawn(name, self._kept(name, loop))

    def spawn(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `work` once, on its own; an exception ends nothing else."""
        task = asyncio.create_task(self._guarded(name, work), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def stop(self) -> None:
        """Cancel whatever still runs and wait until it is gone."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _kept(self, name: str, loop: Callable[[], Awaitable[None]]) -> None:
        backoff = Backoff(first=0.5)
        while True:
            began = clock.monotonic()
            try:
                return await loop()
            except Exception as error:
                self._count(name)
                if clock.monotonic() - began > 60:
                    backoff.reset()
                delay = backoff.next()
                # What was raised on purpose says all in its message; anything else is a bug, and shows its stack.
                stack = None if isinstance(error, PenstockError) else error
                _log.warning("%s failed and is started again in %.1f s: %s", name, delay, error, exc_info=stack)
                await asyncio.sleep(delay)

    async def _guarded(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception:
            self._count(name)
            _log.exception("%s failed", name)

    def _count(self, name: str) -> None:
        kind = name.split(" ")[0]
        self.failures[kind] = self.failures.get(kind, 0) + 1


class Watchdog:
    """Ends the process, with every thread's stack on stderr, when nobody has called `beat` for `seconds`.

    It counts its own looks at the clock instead of asking how late it is: a process that was frozen and goes on (a
    suspended machine, SIGSTOP) has missed no look.
    """

    INTERVAL = 1.0

    def __init__(self, seconds: float, end: Callable[[int], None] = os._exit) -> None:
        self._patience = max(2, int(seconds / self.INTERVAL))
        self._end = end
        self._beats = 0
        self._stopped = threading.Event()
        self.last_beat = clock.monotonic()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def beat(self) -> None:
        self._beats += 1
        self.last_beat = clock.monotonic()

    def stop(self) -> None:
        self._stopped.set()

    @property
    def age(self) -> float:
        """Seconds since the last sign of progress."""
        return clock.monotonic() - self.last_beat

    def _watch(self) -> None:
        seen, missed = self._beats, 0
        while not self._stopped.wait(self.INTERVAL):
            missed = missed + 1 if self._beats == seen else 0
            seen = self._beats
            if missed >= self._patience:
                print(
                    f"The agent made no progress for {missed * self.INTERVAL:.0f} s and ends itself.", file=sys.stderr
                )
                faulthandler.dump_traceback(all_threads=True)
                self._end(EXIT_STUCK)
                return
