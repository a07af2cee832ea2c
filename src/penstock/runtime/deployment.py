"""The deployment of the run around the calling code: id, name, version, flow_run_id, parameters.

See `penstock.sdk.runtime` for what they are outside of a run.
"""

from typing import Any

from penstock.sdk import runtime


def __getattr__(name: str) -> Any:
    return runtime.deployment(name)


def __dir__() -> list[str]:
    return sorted(runtime.DEPLOYMENT_FIELDS)
