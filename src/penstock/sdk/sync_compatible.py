"""Functions that wait for the server, callable from synchronous code and to be awaited in asynchronous code."""

import functools
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from penstock.engine.dispatch import is_awaited

if TYPE_CHECKING:
    import asyncio

P = ParamSpec("P")
T = TypeVar("T")

#: Calls under way in event loops: a loop itself keeps only weak references to its tasks.
_under_way: "set[asyncio.Task[Any]]" = set()


def sync_compatible(function: Callable[P, T]) -> Callable[P, T]:
    """`function`, which blocks, so that asynchronous code can await it: ``await f(x)`` there, ``f(x)`` everywhere else.

    Asynchronous code is an asynchronous flow or task, or, outside of runs, whatever runs in an event loop. There the call
    begins at once, in a thread, be it awaited or not. A synchronous task that an asynchronous flow calls is synchronous
    code. For type checkers the result is always that of `function`; `asynchronous` makes one that is always awaited.
    """

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        if not is_awaited():
            return function(*args, **kwargs)
        import asyncio

        task = asyncio.get_running_loop().create_task(asyncio.to_thread(function, *args, **kwargs))
        _under_way.add(task)
        task.add_done_callback(_under_way.discard)
        return cast(T, task)

    return call


def asynchronous(function: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]:
    """`function`, which blocks, as a coroutine function."""

    @functools.wraps(function)
    async def call(*args: P.args, **kwargs: P.kwargs) -> T:
        import asyncio

        return await asyncio.to_thread(function, *args, **kwargs)

    return call
