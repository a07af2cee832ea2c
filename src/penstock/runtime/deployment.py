"""The deployment of the run around the calling code: id, version, parameters, flow_run_id.

Each is None outside of a run.
"""

from typing import Any

from penstock.sdk import runtime


def __getattr__(name: str) -> Any:
    return runtime.deployment(name)
