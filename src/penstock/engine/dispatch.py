"""For functions that synchronous code calls and asynchronous code awaits."""

import sys
from typing import Any, TypeVar

from penstock.engine.context import FLOW_RUN, TASK_RUN
from penstock.engine.steps import Steps, drive, drive_async

T = TypeVar("T")


def carry_out(steps: Steps[T]) -> Any:
    """What `steps` return; for asynchronous code a coroutine that gives it.

    Asynchronous is what runs in an event loop, and within a run only the function of an asynchronous flow or task:
    a synchronous flow that is called while a loop runs, as in a notebook, blocks as everywhere else.
    """
    return drive_async(steps) if is_awaited() else drive(steps)


def is_awaited() -> bool:
    """Whether the calling code awaits what takes time."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None or asyncio._get_running_loop() is None:
        return False
    caller = TASK_RUN.get() or FLOW_RUN.get()
    return caller is None or caller.isasync
