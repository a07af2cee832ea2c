"""The task run around the calling code: id, name, task_name, tags, run_count, parameters, api_url, ui_url.

See `penstock.sdk.runtime` for what they are outside of a run.
"""

from typing import Any

from penstock.sdk import runtime


def __getattr__(name: str) -> Any:
    return runtime.task_run(name)


def __dir__() -> list[str]:
    return sorted(runtime.TASK_RUN_FIELDS)
