"""The flow run around the calling code: id, name, tags, flow_name, parameters, run_count, parent_flow_run_id,
scheduled_start_time.

Each is None outside of a run.
"""

from typing import Any

from penstock.sdk import runtime


def __getattr__(name: str) -> Any:
    return runtime.flow_run(name)
