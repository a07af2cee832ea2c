"""How running user code is stopped: by an exception raised in it, from a signal, an alarm, or another thread.

These exceptions are no `Exception`, so that ``except Exception`` in user code does not swallow them; its finally
blocks run.
"""

import signal
import threading
from types import FrameType, TracebackType
from typing import Self

from penstock.clock import monotonic

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


class DeadlineReached(Interruption):
    """A timeout of a flow or task has passed."""


def interrupt(thread: int, exception: type[BaseException] | None) -> None:
    """Have `exception` raised in the thread of that ident at its next bytecode; None takes a waiting one back."""
    import ctypes

    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread), ctypes.py_object(exception) if exception else None
    )


class Deadline:
    """``with Deadline(seconds)``: DeadlineReached is raised in the body when they have passed; then `reached` is True.

    In the main thread by SIGALRM, which also ends a blocking system call; elsewhere by a timer thread, which takes
    effect when the body next executes Python. Deadlines nest: the one that is reached first wins. None is no
    deadline.
    """

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self.reached = False
        self._armed = False
        self._by_alarm = False

    def __enter__(self) -> Self:
        if self.seconds is None:
            return self
        in_main = threading.current_thread() is threading.main_thread()
        if in_main and hasattr(signal, "SIGALRM"):
            self._arm_alarm(self.seconds)
        else:
            self._arm_timer(self.seconds)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not self._armed:
            return
        self._armed = False
        if self._by_alarm:
            self._disarm_alarm()
        else:
            self._disarm_timer(kind)

    def _arm_alarm(self, seconds: float) -> None:
        self._started = monotonic()
        self._outer_left, _ = signal.getitimer(signal.ITIMER_REAL)
        if 0 < self._outer_left <= seconds:
            return  # the deadline around this one comes first and ends both
        self._outer_handler = signal.getsignal(signal.SIGALRM)
        self._armed = self._by_alarm = True
        signal.signal(signal.SIGALRM, self._ring)
        signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-6))

    def _ring(self, _signal: int, _frame: FrameType | None) -> None:
        if self._armed:
            self.reached = True
            raise DeadlineReached

    def _disarm_alarm(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self._outer_handler)
        if self._outer_left:
            left = self._outer_left - (monotonic() - self._started)
            signal.setitimer(signal.ITIMER_REAL, max(left, 1e-6))

    def _arm_timer(self, seconds: float) -> None:
        self._thread = threading.get_ident()
        self._lock = threading.Lock()
        self._armed = True
        self._timer = threading.Timer(seconds, self._strike)
        self._timer.daemon = True
        self._timer.start()

    def _strike(self) -> None:
        with self._lock:
            if self._armed:
                self.reached = True
                interrupt(self._thread, DeadlineReached)

    def _disarm_timer(self, kind: type[BaseException] | None) -> None:
        with self._lock:
            self._timer.cancel()
            if self.reached and kind is not DeadlineReached:
                interrupt(self._thread, None)
