"""Futures of task runs, and what stands for them once they have ended."""

from typing import Any

from penstock.engine import inputs
from penstock.engine.futures import AsyncTaskRunFuture, TaskRunFuture, wait_all

__all__ = [
    "AsyncTaskRunFuture",
    "PrefectFuture",
    "TaskRunFuture",
    "resolve_futures_to_data",
    "resolve_futures_to_states",
]

PrefectFuture = TaskRunFuture


def resolve_futures_to_data(expr: Any, raise_on_failure: bool = True) -> Any:
    """`expr` with every future in it replaced by its result, which is waited for.

    For a run that failed, its exception is raised, or stands in the place of the result.
    """
    wait_all(inputs.futures_in(expr))
    return inputs.walk(expr, lambda found: _result(found, raise_on_failure))


def resolve_futures_to_states(expr: Any) -> Any:
    """`expr` with every future in it replaced by its final state, which is waited for."""
    wait_all(inputs.futures_in(expr))
    return inputs.to_states(expr)


def _result(found: Any, raise_on_failure: bool) -> Any:
    if not isinstance(found, TaskRunFuture) or found.state is None:
        return found
    return found.state.result(raise_on_failure=raise_on_failure)
