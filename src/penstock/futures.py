"""Futures, under the module name that users of Prefect 2 know."""

from penstock.engine.futures import AsyncTaskRunFuture, TaskRunFuture

PrefectFuture = TaskRunFuture

__all__ = ["AsyncTaskRunFuture", "PrefectFuture", "TaskRunFuture"]
