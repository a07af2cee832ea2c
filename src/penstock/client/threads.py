"""Runs blocking requests for coroutines: daemon threads, made when needed, that no end of the program waits for."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from penstock.client.transport import Ticket

T = TypeVar("T")
#: Takes the result, or the error, of a request.
Report = Callable[[Any, BaseException | None], None]

#: Requests under way at once; a long poll occupies one place all the time. More of them wait for a place.
MOST_THREADS = 32
#: Seconds that an idle thread stays.
IDLE_SECONDS = 30.0


class Threads:
    """A pool of daemon threads. Unlike the standard library's, it never keeps a program from ending."""

    def __init__(self, most: int = MOST_THREADS) -> None:
        self._most = most
        self._work: deque[tuple[Callable[[], Any], Report]] = deque()
        self._changed = threading.Condition()
        self._threads = 0
        self._idle = 0
        self._closed = False

    async def run(self, function: Callable[[Ticket], T]) -> T:
        """`function(ticket)` in a thread. When the waiting task is cancelled, the ticket is given up."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        ticket = Ticket()

        def settle(result: Any, error: BaseException | None) -> None:
            if future.done():
                return
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

        def report(result: Any, error: BaseException | None) -> None:
            # A loop that was closed meanwhile has nobody waiting any more.
            if not loop.is_closed():
                loop.call_soon_threadsafe(settle, result, error)

        self._submit(lambda: function(ticket), report)
        try:
            return await future
        except asyncio.CancelledError:
            ticket.give_up()
            raise

    def close(self) -> None:
        """Let the threads end when what they do is done."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _submit(self, function: Callable[[], Any], report: Report) -> None:
        with self._changed:
            self._work.append((function, report))
            # An idle thread that was woken but has not run yet still counts as idle, and its work still waits.
            if self._idle >= len(self._work):
                self._changed.notify()
            elif self._threads < self._most:
                self._threads += 1
                threading.Thread(target=self._loop, name="penstock-client", daemon=True).start()

    def _loop(self) -> None:
        while (work := self._next()) is not None:
            _do(*work)
            del work

    def _next(self) -> tuple[Callable[[], Any], Report] | None:
        with self._changed:
            if not self._work and not self._closed:
                self._idle += 1
                self._changed.wait(IDLE_SECONDS)
                self._idle -= 1
            if self._work:
                return self._work.popleft()
            self._threads -= 1
            return None


def _do(function: Callable[[], Any], report: Report) -> None:
    try:
        result = function()
    except BaseException as error:
        report(None, error)
    else:
        report(result, None)
