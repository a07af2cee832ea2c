"""Where submitted tasks run: in threads, or at once in the caller's. Elsewhere: see `penstock.engine.remote_runners`."""

import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Generator
from contextvars import copy_context
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, Self

from penstock import settings
from penstock.engine.futures import serve
from penstock.engine.interruption import Interruption, interrupt
from penstock.engine.protocols import OnEnd

if TYPE_CHECKING:
    import asyncio

#: Seconds that a thread of the pool waits for work before it leaves.
IDLE = 5.0
#: Most threads beyond the limit that stand in for threads which wait for futures.
MOST_STAND_INS = 1000


class TaskConcurrencyType(Enum):
    """What submitted tasks of a runner have to do with each other."""

    SEQUENTIAL = "SEQUENTIAL"  #: one begins when the one before has ended
    CONCURRENT = "CONCURRENT"  #: side by side in the flow's process
    PARALLEL = "PARALLEL"  #: side by side in processes of their own


class BaseTaskRunner(ABC):
    """Runs the submitted tasks of one flow run. A subclass says how in `submit`; all else has a default.

    A flow's runner is only a pattern: each run of the flow gets one `duplicate` of it, which is started when the
    first task is submitted, and stopped at the run's end.
    """

    #: Whether tasks leave the flow's process: the runner is a `penstock.engine.remote_runners.RemoteTaskRunner`.
    remote: ClassVar[bool] = False
    #: Whether asynchronous tasks of a synchronous flow run in the shared event loop, without `submit`.
    uses_loop: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """The class's name in small letters, without "taskrunner"."""
        return type(self).__name__.lower().replace("taskrunner", "")

    @property
    @abstractmethod
    def concurrency_type(self) -> TaskConcurrencyType: ...

    def duplicate(self) -> Self:
        """One like this, for another run. A runner whose constructor takes arguments passes them on here."""
        return type(self)()

    def start(self) -> None:
        """Called once before the first submit. What it raises is raised where that was written."""
        return

    @abstractmethod
    def submit(self, work: Callable[[], None]) -> None:
        """Have `work` run once, soon, in the context that the caller has now. `work` raises nothing."""

    def carry_out(self, steps: Generator[Any, Any, Any], on_end: OnEnd) -> None:
        """What a remote runner has in place of `submit`: the steps of a task run, and whom to tell how they ended."""
        raise NotImplementedError

    def stop(self) -> None:
        """Called once if it was started, when all submitted work is done or the run was interrupted."""
        return

    def interrupt(self, exception: type[BaseException]) -> None:
        """Have `exception` raised in what runs now. What waits still runs: it finds out that it may not begin."""
        return

    def async_slots(self) -> "AsyncSlots | None":
        """What asynchronous tasks have to take before they begin. None: as many as there are."""
        return None


class ConcurrentTaskRunner(BaseTaskRunner):
    """Runs tasks side by side: functions in threads, coroutines in an event loop.

    `max_workers`: how many run at once; by default PENSTOCK_TASK_RUNNER_THREADS functions, and any number of
    coroutines. A task takes a thread only when all that it waits for has ended, and while it waits for a future itself
    another thread stands in for its own; so tasks that wait for each other cannot use up the threads.
    """

    uses_loop = True

    def __init__(self, max_workers: int | None = None) -> None:
        if max_workers is not None and max_workers < 1:
            raise ValueError(f"max_workers is {max_workers}; it must be at least 1")
        self.max_workers = max_workers
        self._limit = max_workers or 1
        self._slots = AsyncSlots(max_workers) if max_workers is not None else None
        self._waiting: deque[Callable[[], None]] = deque()
        self._threads: set[int] = set()
        self._count = 0
        self._idle = 0
        self._lent = 0
        self._stopped = False
        self._changed = threading.Condition(threading.Lock())

    @property
    def concurrency_type(self) -> TaskConcurrencyType:
        return TaskConcurrencyType.CONCURRENT

    def duplicate(self) -> Self:
        return type(self)(self.max_workers)

    def start(self) -> None:
        self._limit = self.max_workers or max(1, int(settings.get("PENSTOCK_TASK_RUNNER_THREADS")))

    def submit(self, work: Callable[[], None]) -> None:
        context = copy_context()
        with self._changed:
            self._waiting.append(lambda: context.run(work))
            if not self._grows():
                return
            self._count += 1
        self._begin_thread()

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def interrupt(self, exception: type[BaseException]) -> None:
        with self._changed:
            running = list(self._threads)
        for thread in running:
            interrupt(thread, exception)

    def async_slots(self) -> "AsyncSlots | None":
        return self._slots

    def lend(self) -> None:
        """The calling thread of the pool is about to wait for a future: another one may work."""
        with self._changed:
            self._lent += 1
            if not self._waiting or not self._grows():
                return
            self._count += 1
        self._begin_thread()

    def take_back(self) -> None:
        """It goes on. There may be one thread too many now, which leaves when it has done what it does."""
        with self._changed:
            self._lent -= 1

    def _grows(self) -> bool:
        """Whether what waits needs a further thread, and may have it; an idle one is woken. The lock is held."""
        if self._idle >= len(self._waiting):
            self._changed.notify()
            return False
        return self._count - self._lent < self._limit and self._count < self._limit + MOST_STAND_INS

    def _begin_thread(self) -> None:
        threading.Thread(target=self._serve, name=f"penstock-task-{self._count}", daemon=True).start()

    def _serve(self) -> None:
        serve(self)
        while True:
            try:
                return self._work()
            except Interruption:
                continue  # it was meant for work that had ended by then

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
            while not self._waiting or self._count - self._lent > self._limit:
                if self._stopped or self._count - self._lent > self._limit:
                    self._count -= 1
                    return None
                self._idle += 1
                try:
                    told = self._changed.wait(IDLE)
                finally:
                    self._idle -= 1
                if not told and not self._waiting:
                    self._count -= 1
                    return None
            return self._waiting.popleft()


class SequentialTaskRunner(BaseTaskRunner):
    """Runs each submitted task at once, in the caller's thread: one at a time, in the order of the submits."""

    @property
    def concurrency_type(self) -> TaskConcurrencyType:
        return TaskConcurrencyType.SEQUENTIAL

    def submit(self, work: Callable[[], None]) -> None:
        copy_context().run(work)


class AsyncSlots:
    """Room for `limit` asynchronous tasks of one event loop. Whoever waits for a future lends its slot meanwhile."""

    def __init__(self, limit: int) -> None:
        self._free = limit
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def acquire(self) -> None:
        if self._free > 0:
            self._free -= 1
            return
        import asyncio

        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self.release()
            raise

    def release(self) -> None:
        self._free += 1
        while self._free > 0 and self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                self._free -= 1
                waiter.set_result(None)

    def lend(self) -> None:
        self.release()

    def take_back(self) -> None:
        """Goes on at once: for a moment one more may run than there is room for."""
        self._free -= 1
