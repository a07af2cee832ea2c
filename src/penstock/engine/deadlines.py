"""Synchronous code that may take only so long.

In the main thread SIGALRM ends it, also where it waits for the system. Elsewhere it runs in a thread of its own, which is
interrupted when its time is over, and left behind if it does not heed that: whoever waits for it goes on all the same.
"""

import signal
import sys
import threading
from collections.abc import Callable
from contextvars import copy_context
from types import FrameType
from typing import Any

from penstock.clock import monotonic
from penstock.engine.futures import serve, served_pool
from penstock.engine.interruption import DeadlineReached, interrupt, standing_in

#: Seconds that code has for its finally blocks after its time was over; then its thread is left behind.
GRACE = 0.5
#: What whoever reads the log is told then.
LEFT_BEHIND = (
    f"The code did not stop within {GRACE:g} s after its timeout: it is in a call that cannot be interrupted. Its thread is "
    "left behind, and what it still does counts for nothing."
)
#: Seconds after which a deadline looks again whether the debugger has let go of the code.
LOOK_AGAIN = 1.0
#: Modules whose frames say that a debugger holds the code.
DEBUGGERS = ("bdb", "pdb", "pydevd", "debugpy")


class Timeout(Exception):
    """The function took longer than it may. `left_behind`: it still runs, and nobody waits for it any more."""

    def __init__(self, *, left_behind: bool = False) -> None:
        super().__init__("the function took longer than it may")
        self.left_behind = left_behind


def call_within(seconds: float, call: Callable[[], Any]) -> Any:
    """What `call` returns or raises. Raises Timeout if it takes longer than `seconds`; a nearer deadline around it wins.

    While a debugger holds the code, the time does not run out; once it has let go, the code has all of it again.
    """
    in_main = threading.current_thread() is threading.main_thread()
    if in_main and hasattr(signal, "SIGALRM"):
        return _Alarm(seconds).run(call)
    return _Beside(call).run(seconds)


class _Time:
    """The seconds that code may take, of which none count while a debugger holds it."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._held = False

    def left(self, frame: FrameType | None) -> float | None:
        """Seconds until this is asked again of the code at `frame`, whose time has passed; None: it is over."""
        was_held, self._held = self._held, is_debugged(frame)
        if self._held:
            return LOOK_AGAIN
        return self._seconds if was_held else None


class _Alarm:
    """A deadline of the main thread."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._armed = False
        self._reached = False
        self._time = _Time(seconds)

    def run(self, call: Callable[[], Any]) -> Any:
        self._started = monotonic()
        self._outer_left, _ = signal.getitimer(signal.ITIMER_REAL)
        if 0 < self._outer_left <= self._seconds:
            return call()  # the deadline around this one comes first and ends both
        outer_handler = signal.signal(signal.SIGALRM, self._ring)
        self._armed = True
        signal.setitimer(signal.ITIMER_REAL, max(self._seconds, 1e-6))
        try:
            return call()
        except DeadlineReached:
            if self._reached:
                raise Timeout from None
            raise
        finally:
            self._armed = False
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, outer_handler)
            if self._outer_left:
                left = self._outer_left - (monotonic() - self._started)
                signal.setitimer(signal.ITIMER_REAL, max(left, 1e-6))

    def _ring(self, _signal: int, frame: FrameType | None) -> None:
        if not self._armed:
            return
        left = self._time.left(frame)
        if left is None:
            self._reached = True
            raise DeadlineReached
        signal.setitimer(signal.ITIMER_REAL, max(left, 1e-6))


class _Beside:
    """A call in a thread of its own, for whoever waits in this one."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self._call = call
        self._pool = served_pool()
        self._value: Any = None
        self._error: BaseException | None = None
        self._ended = threading.Event()
        name = f"{threading.current_thread().name}-timed"
        self._thread = threading.Thread(target=copy_context().run, args=(self._work,), name=name, daemon=True)

    def run(self, seconds: float) -> Any:
        with standing_in(self._interrupt):
            self._thread.start()
            reached = not self._in_time(seconds)
            if reached:
                self._interrupt(DeadlineReached)
                if not self._ended.wait(GRACE):
                    raise Timeout(left_behind=True)
        if reached and isinstance(self._error, DeadlineReached):
            raise Timeout
        if self._error is not None:
            raise self._error
        return self._value

    def _in_time(self, seconds: float) -> bool:
        time, left = _Time(seconds), seconds
        while not self._ended.wait(left):
            more = time.left(sys._current_frames().get(self._thread.ident or 0))
            if more is None:
                return False
            left = more
        return True

    def _work(self) -> None:
        if self._pool is not None:
            serve(self._pool)
        try:
            self._value = self._call()
        except BaseException as error:
            self._error = error
        finally:
            self._ended.set()

    def _interrupt(self, exception: type[BaseException]) -> None:
        if self._thread.ident is not None and not self._ended.is_set():
            interrupt(self._thread.ident, exception)


def is_debugged(frame: FrameType | None) -> bool:
    """Whether a debugger's own code runs there, for example its prompt."""
    while frame is not None:
        if frame.f_globals.get("__name__", "").partition(".")[0] in DEBUGGERS:
            return True
        frame = frame.f_back
    return False
