"""Where submitted tasks run: in threads, or at once in the caller's."""

import threading
from collections import deque
from collections.abc import Callable
from contextvars import copy_context

from penstock import settings
from penstock.engine.interruption import interrupt

#: Seconds that a thread of the pool waits for work before it leaves.
IDLE = 5.0


class ConcurrentTaskRunner:
    """Runs tasks side by side, in at most `max_workers` threads (PENSTOCK_TASK_RUNNER_THREADS if None).

    A task takes a thread only when all that it waits for has ended, so tasks that wait for each other cannot use up
    the threads.
    """

    name = "concurrent"

    def __init__(self, max_workers: int | None = None) -> None:
        if max_workers is not None and max_workers < 1:
            raise ValueError(f"max_workers is {max_workers}; it must be at least 1")
        self.max_workers = max_workers
        self._limit = max_workers or 1
        self._waiting: deque[Callable[[], None]] = deque()
        self._threads: set[int] = set()
        self._count = 0
        self._idle = 0
        self._stopped = False
        self._changed = threading.Condition(threading.Lock())

    def duplicate(self) -> "ConcurrentTaskRunner":
        return type(self)(self.max_workers)

    def start(self) -> None:
        self._limit = self.max_workers or max(1, int(settings.get("PENSTOCK_TASK_RUNNER_THREADS")))

    def submit(self, work: Callable[[], None]) -> None:
        context = copy_context()
        with self._changed:
            self._waiting.append(lambda: context.run(work))
            if self._idle >= len(self._waiting):
                self._changed.notify()
                return
            if self._count >= self._limit:
                return
            self._count += 1
        threading.Thread(target=self._work, name=f"penstock-task-{self._count}", daemon=True).start()

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def interrupt(self, exception: type[BaseException]) -> None:
        with self._changed:
            running = list(self._threads)
        for thread in running:
            interrupt(thread, exception)

    def _work(self) -> None:
        me = threading.get_ident()
        while (work := self._next()) is not None:
            with self._changed:
                self._threads.add(me)
            try:
                work()
            finally:
                with self._changed:
                    self._threads.discard(me)
            del work

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            while not self._waiting:
                if self._stopped:
                    self._count -= 1
                    return None
                self._idle += 1
                told = self._changed.wait(IDLE)
                self._idle -= 1
                if not told and not self._waiting:
                    self._count -= 1
                    return None
            return self._waiting.popleft()


class SequentialTaskRunner:
    """Runs each submitted task at once, in the caller's thread: one at a time, in the order of the submits."""

    name = "sequential"

    def duplicate(self) -> "SequentialTaskRunner":
        return type(self)()

    def start(self) -> None:
        """Nothing to start."""

    def submit(self, work: Callable[[], None]) -> None:
        copy_context().run(work)

    def stop(self) -> None:
        """Nothing to stop."""

    def interrupt(self, exception: type[BaseException]) -> None:
        """What runs, runs in the thread that is being interrupted."""
