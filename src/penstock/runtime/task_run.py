"""The task run around the calling code: id, name, tags, task_name, parameters, run_count.

Each is None outside of a run.
"""

from typing import Any

from penstock.sdk import runtime


def __getattr__(name: str) -> Any:
    return runtime.task_run(name)
