"""The flow run around the calling code: id, name, tags, scheduled_start_time, flow_name, flow_version, parameters,
parent_flow_run_id, parent_deployment_id, root_flow_run_id, run_count, job_variables, api_url, ui_url.

See `penstock.sdk.runtime` for what they are outside of a run.
"""

from typing import Any

from penstock.sdk import runtime


def __getattr__(name: str) -> Any:
    return runtime.flow_run(name)


def __dir__() -> list[str]:
    return sorted(runtime.FLOW_RUN_FIELDS)
