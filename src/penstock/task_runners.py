"""Task runners, under the module name that users of Prefect 2 know."""

from penstock.engine.task_runners import ConcurrentTaskRunner, SequentialTaskRunner

__all__ = ["ConcurrentTaskRunner", "SequentialTaskRunner"]
