"""One event loop in a thread of its own, for asynchronous code that is called from synchronous flows."""

import threading
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

_lock = threading.Lock()
_loop: "asyncio.AbstractEventLoop | None" = None
_thread: threading.Thread | None = None


def run_on_loop(make: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run the coroutine that `make` makes on the shared loop, in the caller's context, and wait for it.

    If the wait is interrupted, the coroutine is cancelled. All callers share the loop, so that what one coroutine opens
    another can use.
    """
    import asyncio

    loop = _running_loop()
    if _thread is threading.current_thread():
        return _run_aside(make)
    future = asyncio.run_coroutine_threadsafe(make(), loop)
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


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
        """Called in the loop, as for any asyncio.Task."""
        if self._task is not None:
            self._task.cancel()

    def _begin(self) -> None:
        self._task = self._loop.create_task(self._make())


def spawn_on_loop(make: Callable[[], Coroutine[Any, Any, None]]) -> Spawned:
    """Start the coroutine that `make` makes on the shared loop, in the caller's context. It must raise nothing."""
    return Spawned(_running_loop(), make)


def call_later(seconds: float, call: Callable[[], None]) -> None:
    """Have the shared loop call `call` in so many seconds. It must not block."""
    loop = _running_loop()
    loop.call_soon_threadsafe(loop.call_later, seconds, call)


def _running_loop() -> "asyncio.AbstractEventLoop":
    global _loop, _thread
    import asyncio

    with _lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            _thread = threading.Thread(target=_loop.run_forever, name="penstock-loop", daemon=True)
            _thread.start()
    return _loop


def _run_aside(make: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """The caller is synchronous code that blocks the shared loop: run the coroutine on a loop of its own."""
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    context = copy_context()
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(context.run, lambda: asyncio.run(make())).result()
