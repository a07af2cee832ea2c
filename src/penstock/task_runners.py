"""Task runners, under the module name that users of Prefect 2 know."""

from penstock.engine.task_runners import (
    BaseTaskRunner,
    ConcurrentTaskRunner,
    SequentialTaskRunner,
    TaskConcurrencyType,
)

__all__ = ["BaseTaskRunner", "ConcurrentTaskRunner", "SequentialTaskRunner", "TaskConcurrencyType"]
