"""The engine's runs are generators that yield effects; one of two drivers carries these out.

`drive` does so in the calling thread, without any event loop; `drive_async` in the caller's event loop. What a run
is exists only once: in the generators of `task_runs` and `flow_runs`.
"""

import time
from collections.abc import Awaitable, Callable, Generator
from typing import Any, Protocol, TypeVar

from penstock.engine.deadlines import Timeout, call_within
from penstock.engine.futures import TaskRunFuture, wait_all, wait_async
from penstock.engine.loop import run_on_loop
from penstock.engine.tracebacks import cut_to_users
from penstock.model.states import State

__all__ = [
    "Blocking", "Effect", "Invoke", "Sleep", "Steps", "Timeout", "Until", "WaitFor", "drive", "drive_async", "result_async",
]  # fmt: skip

T = TypeVar("T")


class Effect(Protocol):
    """Something that takes time."""

    def run(self) -> Any: ...

    async def run_async(self) -> Any: ...


Steps = Generator[Effect, Any, T]


class Blocking:
    """A call that waits for the network."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[[], Any]) -> None:
        self.call = call

    def run(self) -> Any:
        return self.call()

    async def run_async(self) -> Any:
        import asyncio

        return await asyncio.get_running_loop().run_in_executor(None, self.call)


class Sleep:
    """Seconds to wait."""

    __slots__ = ("seconds",)

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def run(self) -> None:
        time.sleep(max(self.seconds, 0))

    async def run_async(self) -> None:
        import asyncio

        await asyncio.sleep(self.seconds)


class WaitFor:
    """The end of some futures."""

    __slots__ = ("futures",)

    def __init__(self, futures: list[TaskRunFuture[Any]]) -> None:
        self.futures = futures

    def run(self) -> None:
        wait_all(self.futures)

    async def run_async(self) -> None:
        for future in self.futures:
            await wait_async(future)


class Until:
    """Until somebody calls back, at most `timeout` seconds: `register` is given the function to call.

    False: nobody did.
    """

    __slots__ = ("register", "timeout")

    def __init__(self, register: Callable[[Callable[[], None]], None], timeout: float | None = None) -> None:
        self.register = register
        self.timeout = timeout

    def run(self) -> bool:
        import threading

        called = threading.Event()
        self.register(called.set)
        return called.wait(self.timeout)

    async def run_async(self) -> bool:
        import asyncio

        loop = asyncio.get_running_loop()
        called = asyncio.Event()

        def call() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(called.set)

        self.register(call)
        try:
            return await asyncio.wait_for(called.wait(), self.timeout)
        except TimeoutError:
            return False


class Invoke:
    """A call of user code, for at most `timeout` seconds. Raises Timeout when they have passed."""

    __slots__ = ("args", "fn", "isasync", "kwargs", "timeout")

    def __init__(
        self,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        isasync: bool,
        timeout: float | None,
    ) -> None:
        self.fn = fn
        self.args = args
        self.kwargs = kwargs
        self.isasync = isasync
        self.timeout = timeout

    def run(self) -> Any:
        if self.isasync:
            return run_on_loop(self.run_async)
        if self.timeout is None:
            return self.fn(*self.args, **self.kwargs)
        return call_within(self.timeout, lambda: self.fn(*self.args, **self.kwargs))

    async def run_async(self) -> Any:
        if self.timeout is None:
            return await self._awaited()
        import asyncio

        try:
            async with asyncio.timeout(self.timeout) as limit:
                return await self._awaited()
        except TimeoutError:
            if limit.expired():
                raise Timeout from None
            raise

    async def _awaited(self) -> Any:
        value = self.fn(*self.args, **self.kwargs)
        return await value if isinstance(value, Awaitable) else value


def drive(steps: Steps[T]) -> T:
    """Carry out `steps` in this thread. Returns what they return."""
    try:
        effect = next(steps)
        while True:
            try:
                value = effect.run()
            except BaseException as error:
                effect = steps.throw(error)
            else:
                effect = steps.send(value)
    except StopIteration as end:
        result: T = end.value
        return result


async def drive_async(steps: Steps[T]) -> T:
    """Carry out `steps` in the running event loop. Returns what they return."""
    try:
        effect = next(steps)
        while True:
            try:
                value = await effect.run_async()
            except BaseException as error:
                effect = steps.throw(error)
            else:
                effect = steps.send(value)
    except StopIteration as end:
        result: T = end.value
        return result


async def result_async(steps: Steps[State], return_state: bool) -> Any:
    """The result of the run that `steps` are, or its final state; what it raised points into the user's code."""
    __tracebackhide__ = True  # pytest and IPython leave this frame out
    try:
        state = await drive_async(steps)
        return state if return_state else state.result()
    except BaseException as error:
        cut_to_users(error)
        raise
