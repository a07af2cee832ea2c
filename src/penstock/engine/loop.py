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
