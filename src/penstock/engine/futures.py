"""The promise of a task run's result."""

import threading
from collections.abc import Callable, Generator, Iterable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar
from uuid import UUID

from penstock.engine.protocols import TaskRunInfo
from penstock.engine.tracebacks import cut_to_users
from penstock.errors import PenstockError
from penstock.model.states import State, StateType

if TYPE_CHECKING:
    import asyncio

R = TypeVar("R")

#: One lock for the short moments in which any future changes: a lock each would cost more than it saves.
_lock = threading.Lock()


class Lender(Protocol):
    """A task runner with room for so many tasks: one that waits for a future needs none meanwhile."""

    def lend(self) -> None: ...

    def take_back(self) -> None: ...


_here = threading.local()
#: What the asynchronous task around the calling code has a slot of.
SLOTS: ContextVar[Lender | None] = ContextVar("penstock_slots", default=None)


def serve(pool: Lender) -> None:
    """The calling thread belongs to `pool`."""
    _here.pool = pool


def served_pool() -> Lender | None:
    """The pool that the calling thread belongs to."""
    return getattr(_here, "pool", None)


class TaskRunFuture(Generic[R]):
    """A submitted task run. It keeps the result for as long as somebody keeps the future."""

    __slots__ = ("__weakref__", "_callbacks", "_state", "task_run")

    #: Whether `result`, `wait` and `get_state` must be awaited.
    asynchronous = False

    def __init__(self, task_run: TaskRunInfo) -> None:
        self.task_run = task_run
        self._state: State | None = None
        self._callbacks: list[Callable[[], None]] | None = []

    @property
    def name(self) -> str:
        return self.task_run.name

    @property
    def key(self) -> UUID:
        """The id of the task run."""
        return self.task_run.id

    task_run_id = key

    @property
    def done(self) -> bool:
        return self._state is not None

    @property
    def state(self) -> State | None:
        """The final state, None while the task runs."""
        return self._state

    def set_state(self, state: State) -> None:
        """The run has ended in `state`. Called once, by whatever runs the task."""
        with _lock:
            self._state = state
            callbacks, self._callbacks = self._callbacks, None
        for call in callbacks or ():
            call()

    def when_done(self, call: Callable[[], None]) -> None:
        """Call `call` when the run has ended, from whatever thread ends it: at once if it has."""
        with _lock:
            if self._callbacks is not None:
                self._callbacks.append(call)
                return
        call()

    def wait(self, timeout: float | None = None) -> Any:
        """Wait for the end. Returns the final state, or None when `timeout` seconds have passed."""
        if self._state is None:
            ended = threading.Event()
            self.when_done(ended.set)
            pool: Lender | None = getattr(_here, "pool", None)
            if pool is None:
                ended.wait(timeout)
                return self._state
            pool.lend()
            try:
                ended.wait(timeout)
            finally:
                pool.take_back()
        return self._state

    def result(self, timeout: float | None = None, raise_on_failure: bool = True) -> Any:
        """The task's return value.

        If it failed, its exception is raised, or returned when `raise_on_failure` is False. Raises TimeoutError when
        it has not ended after `timeout` seconds.
        """
        state = self.wait(timeout)
        if state is None:
            raise TimeoutError(f"Task run '{self.name}' has not ended after {timeout} s")
        __tracebackhide__ = True  # pytest and IPython leave this frame out
        try:
            return state.result(raise_on_failure=raise_on_failure)
        except BaseException as error:
            cut_to_users(error)
            raise

    def get_state(self) -> Any:
        """The final state, or, while the task has not ended, one that says so."""
        return self._state or _running()

    def __repr__(self) -> str:
        state = self._state.name if self._state else "not ended"
        return f"{type(self).__name__}({self.name!r}, {state})"


class AsyncTaskRunFuture(TaskRunFuture[R]):
    """The future of an asynchronous task that was submitted in an asynchronous flow: its methods are awaited.

    ``await task.submit(...)`` gives the future itself, so the await at the submit may be there or not.
    """

    __slots__ = ()

    asynchronous = True

    def __await__(self) -> Generator[Any, None, "AsyncTaskRunFuture[R]"]:
        return self
        yield

    async def wait(self, timeout: float | None = None) -> State | None:
        await wait_async(self, timeout)
        return self._state

    async def result(self, timeout: float | None = None, raise_on_failure: bool = True) -> Any:
        state = await self.wait(timeout)
        if state is None:
            raise TimeoutError(f"Task run '{self.name}' has not ended after {timeout} s")
        __tracebackhide__ = True
        try:  # in each of the two, because a function in between would stand in the traceback
            return state.result(raise_on_failure=raise_on_failure)
        except BaseException as error:
            cut_to_users(error)
            raise

    async def get_state(self) -> State:
        return self._state or _running()


class FutureList(list[Any]):
    """What `map` returns: a list of futures, which may be awaited in an asynchronous flow and then gives itself."""

    def __await__(self) -> Generator[Any, None, "FutureList"]:
        return self
        yield


def check_may_block(futures: Iterable[TaskRunFuture[Any]]) -> None:
    """Raises PenstockError if blocking here until they have ended would block the event loop in which one of them runs."""
    for future in futures:
        if future.asynchronous and not future.done and _in_loop():
            raise PenstockError(
                f"The task run '{future.name}' is asynchronous and has not ended; waiting for it in synchronous code would "
                "block the event loop in which it runs, for ever",
                code="blocks_loop",
                hint="Await it before: value = await future.result()",
            )


def _in_loop() -> bool:
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def wait_all(futures: Iterable[TaskRunFuture[Any]]) -> None:
    """Block until all have ended. Raises PenstockError if that would never be."""
    futures = list(futures)
    check_may_block(futures)
    for future in futures:
        TaskRunFuture.wait(future)


async def wait_async(future: TaskRunFuture[Any], timeout: float | None = None) -> None:
    """Wait for the end without blocking the loop."""
    if future.done:
        return
    import asyncio

    waiter = _as_waiter(future, asyncio.get_running_loop())
    slots = SLOTS.get()
    if slots is None:
        await asyncio.wait({waiter}, timeout=timeout)
        return
    slots.lend()
    try:
        await asyncio.wait({waiter}, timeout=timeout)
    finally:
        slots.take_back()


def _as_waiter(future: TaskRunFuture[Any], loop: "asyncio.AbstractEventLoop") -> "asyncio.Future[None]":
    waiter: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not waiter.done():
            waiter.set_result(None)

    def call() -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(wake)

    future.when_done(call)
    return waiter


def _running() -> State:
    return State(type=StateType.RUNNING)


def when_all_done(futures: Iterable[TaskRunFuture[Any]], call: Callable[[], None]) -> None:
    """`call` when all have ended: now, or in the thread that ends the last one."""
    left = list(futures)

    def next_one() -> None:
        while left:
            future = left.pop()
            if not future.done:
                future.when_done(next_one)
                return
        call()

    next_one()
