"""Futures, under the module name that users of Prefect 2 know."""

from penstock.sdk.futures import (
    AsyncTaskRunFuture,
    PrefectFuture,
    TaskRunFuture,
    resolve_futures_to_data,
    resolve_futures_to_states,
)

__all__ = [
    "AsyncTaskRunFuture",
    "PrefectFuture",
    "TaskRunFuture",
    "resolve_futures_to_data",
    "resolve_futures_to_states",
]
