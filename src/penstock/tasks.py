"""Tasks, under the module name that users of Prefect 2 know."""

from penstock.sdk.hashing import hash_objects, task_input_hash
from penstock.sdk.tasks import Task, exponential_backoff, task

__all__ = ["Task", "exponential_backoff", "hash_objects", "task", "task_input_hash"]
