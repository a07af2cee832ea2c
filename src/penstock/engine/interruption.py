"""How running user code is stopped: by an exception raised in it, from a signal, an alarm, or another thread.

These exceptions are no `Exception`, so that ``except Exception`` in user code does not swallow them; its finally
blocks run.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import asyncio

#: Exit code of a process that was told to end by SIGTERM, as a shell counts it.
TERMINATED = 128 + 15


class Interruption(BaseException):
    """Stops user code. Its text says why."""


class TerminationSignal(Interruption):
    """The process was told to end: SIGTERM."""


class CancelRequested(Interruption):
    """Somebody asked the server to cancel the run."""


class Superseded(Interruption):
    """The attempt's token is worth nothing any more: another attempt runs, or this one was declared over.

    Stop, report nothing.
    """


class SuspendRequested(Interruption):
    """The run is suspended: its process leaves, and another one goes on when it is resumed."""


class DeadlineReached(Interruption):
    """A timeout of a flow or task has passed."""


#: thread -> who is told in its stead, because it only waits for code that runs elsewhere
_stand_ins: dict[int, Callable[[type[BaseException]], None]] = {}
#: what the main thread is to raise when it is woken
_order: type[BaseException] | None = None


def interrupt(thread: int, exception: type[BaseException] | None) -> None:
    """Have `exception` raised in the thread of that ident, or in the code that it waits for.

    At its next bytecode: a call into C that takes long is not cut short, but for the main thread, if `make_wakeable` was
    called. None takes back what was not raised yet.
    """
    global _order
    if exception is not None and (stand_in := _stand_ins.get(thread)) is not None:
        stand_in(exception)
    elif exception is not None and thread == threading.main_thread().ident and _is_wakeable():
        _order = exception
        signal.pthread_kill(thread, signal.SIGURG)
    else:
        if thread == threading.main_thread().ident:
            _order = None
        _raise_in(thread, exception)


def _raise_in(thread: int, exception: type[BaseException] | None) -> None:
    import ctypes

    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread), ctypes.py_object(exception) if exception else None
    )


@contextmanager
def standing_in(stop: Callable[[type[BaseException]], None]) -> Iterator[None]:
    """In the body the calling thread only waits: whoever wants to interrupt it calls `stop` instead."""
    me = threading.get_ident()
    before = _stand_ins.get(me)
    _stand_ins[me] = stop
    try:
        yield
    finally:
        if before is None:
            del _stand_ins[me]
        else:
            _stand_ins[me] = before


def make_wakeable() -> None:
    """From now on the main thread, if that calls, can be interrupted also while it sleeps or waits for a lock.

    By SIGURG, which nobody misses: its default is to be ignored, and a program that has a handler for it keeps that.
    """
    in_main = threading.current_thread() is threading.main_thread()
    if in_main and hasattr(signal, "SIGURG") and signal.getsignal(signal.SIGURG) is signal.SIG_DFL:
        signal.signal(signal.SIGURG, _obey)


def wake_running_loop() -> None:
    """Have the event loop of this thread, if one runs, look at what a signal handler has left for it to do."""
    import sys

    asyncio = sys.modules.get("asyncio")
    loop = asyncio._get_running_loop() if asyncio is not None else None
    if loop is not None:
        loop.call_soon_threadsafe(lambda: None)


def _is_wakeable() -> bool:
    return hasattr(signal, "SIGURG") and signal.getsignal(signal.SIGURG) is _obey


def _obey(_signal: int, _frame: FrameType | None) -> None:
    global _order
    exception, _order = _order, None
    if exception is not None:
        raise exception


class Stoppable:
    """``with Stoppable(task) as code``: `code.stop(exception)`, from any thread, raises it in the body, and not after it.

    `task`: the asyncio task that the body is a part of; None: the body is synchronous code of the calling thread. A
    task is cancelled, and the cancellation is turned into the exception.
    """

    def __init__(self, task: "asyncio.Task[Any] | None" = None) -> None:
        self._task = task
        self._lock = threading.Lock()
        self._open = False
        self._thread = 0
        self._struck: type[BaseException] | None = None

    @property
    def is_coroutine(self) -> bool:
        return self._task is not None

    def stop(self, exception: type[BaseException]) -> bool:
        """Whether the body still ran, so that it will be stopped."""
        with self._lock:
            if not self._open:
                return False
            if self._struck is None:
                self._struck = exception
                self._strike(exception)
            return True

    def _strike(self, exception: type[BaseException]) -> None:
        if self._task is None:
            interrupt(self._thread, exception)
        else:
            self._task.get_loop().call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        if self._open and self._task is not None:
            self._task.cancel()

    def __enter__(self) -> Self:
        self._thread = threading.get_ident()
        if self._task is None:
            make_wakeable()
        self._open = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._lock:
            self._open = False
            struck = self._struck
        if struck is None:
            return
        if self._task is None:
            if kind is not struck:
                interrupt(self._thread, None)
        elif kind is not None and kind.__name__ == "CancelledError":
            self._task.uncancel()
            raise struck("stopped on request") from None
