"""One event loop in a thread of its own, for asynchronous code that is called from synchronous flows."""

import threading
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from penstock.engine.interruption import standing_in

if TYPE_CHECKING:
    import asyncio

#: Seconds that a coroutine has for its finally blocks after the wait for it was interrupted.
CLEANUP_SECONDS = 5.0

_lock = threading.Lock()
_loop: "asyncio.AbstractEventLoop | None" = None
_thread: threading.Thread | None = None


def run_on_loop(make: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run the coroutine that `make` makes on the shared loop, in the caller's context, and wait for it.

    If the wait is interrupted, the coroutine is cancelled, and given some seconds for its finally blocks. All callers
    share the loop, so that what one coroutine opens another can use.
    """
    loop = _running_loop()
    if _thread is threading.current_thread():
        return _run_aside(make)
    return _Awaited(loop, make).result()


class _Awaited:
    """A coroutine on a loop of another thread, which the calling thread waits for."""

    def __init__(self, loop: "asyncio.AbstractEventLoop", make: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        self._loop, self._make = loop, make
        self._task: asyncio.Task[Any] | None = None
        self._value: Any = None
        self._error: BaseException | None = None
        self._stopped_by: type[BaseException] | None = None
        self._ended = threading.Event()

    def result(self) -> Any:
        self._loop.call_soon_threadsafe(self._begin, context=copy_context())
        try:
            with standing_in(self._stop):
                self._ended.wait()
        except BaseException:
            self._loop.call_soon_threadsafe(self._cancel)
            self._ended.wait(CLEANUP_SECONDS)
            raise
        if self._error is None:
            return self._value
        if self._stopped_by is not None:
            raise self._stopped_by("stopped where it waited") from None
        raise self._error

    def _begin(self) -> None:
        self._task = self._loop.create_task(self._run())

    async def _run(self) -> None:
        try:
            self._value = await self._make()
        except BaseException as error:  # also what would end the loop, which others use
            self._error = error
        finally:
            self._ended.set()

    def _stop(self, exception: type[BaseException]) -> None:
        """Somebody wants to interrupt the thread that waits."""
        self._stopped_by = exception
        self._loop.call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()


class Spawned:
    """A coroutine on the shared loop that nobody waits for here."""

    def __init__(self, loop: "asyncio.AbstractEventLoop", make: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._loop = loop
        self._make = make
        self._task: asyncio.Task[None] | None = None
        loop.call_soon_threadsafe(self._begin, context=copy_context())

    def get_loop(self) -> "asyncio.AbstractEventLoop":
        return self._loop

    def cancel(self) -> None:
        """Cancel it, from any thread."""
        self._loop.call_soon_threadsafe(self._cancel)

    def _begin(self) -> None:
        self._task = self._loop.create_task(self._make())

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()


def spawn_on_loop(make: Callable[[], Coroutine[Any, Any, None]]) -> Spawned:
    """Start the coroutine that `make` makes on the shared loop, in the caller's context. It must raise nothing."""
    return Spawned(_running_loop(), make)


def call_later(seconds: float, call: Callable[[], None]) -> None:
    """Have the shared loop call `call` in so many seconds. It must not block."""
    loop = _running_loop()
    loop.call_soon_threadsafe(loop.call_later, seconds, call)


def forked() -> None:
    """This is a fork: the loop's thread stayed behind."""
    global _loop, _thread, _lock
    _loop = _thread = None
    _lock = threading.Lock()


def _run(loop: "asyncio.AbstractEventLoop") -> None:
    """Run the loop. A task of a user's own that ends with sys.exit comes up to here; the others go on."""
    while True:
        try:
            loop.run_forever()
        except (SystemExit, KeyboardInterrupt):
            continue


def _running_loop() -> "asyncio.AbstractEventLoop":
    global _loop, _thread
    import asyncio

    with _lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            _thread = threading.Thread(target=_run, args=(_loop,), name="penstock-loop", daemon=True)
            _thread.start()
    return _loop


def _run_aside(make: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """The caller is synchronous code that blocks the shared loop: run the coroutine on a loop of its own."""
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    context = copy_context()
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(context.run, lambda: asyncio.run(make())).result()
