"""Tasks, under the module name that users of Prefect 2 know."""

from penstock.sdk.tasks import Task, exponential_backoff, task

__all__ = ["Task", "exponential_backoff", "task"]
