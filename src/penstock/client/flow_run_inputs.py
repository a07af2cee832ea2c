"""Calls about the inputs of flow runs: texts that are sent to a run under a key."""

from collections.abc import Iterable
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from penstock.client.call import Call, Text, given, nothing, plain_text, segment

if TYPE_CHECKING:
    from penstock.model.flow_run_inputs import FlowRunInput


def create_flow_run_input(flow_run_id: UUID, key: str, value: str, sender: str | None = None) -> Call[None]:
    """Send `value` to the run. Raises Conflict when sent if the key is taken.

    The input carries an id, so that the server knows it again when it is repeated.
    """
    body = given(id=str(uuid4()), key=key, value=value, sender=sender)
    return Call("POST", f"/flow_runs/{segment(flow_run_id)}/input", nothing, body=body)


def read_flow_run_input(flow_run_id: UUID, key: str) -> Call[Text]:
    """The value that was sent under `key`. Raises NotFound when sent."""
    return Call("GET", f"/flow_runs/{segment(flow_run_id)}/input/{segment(key)}", plain_text)


def filter_flow_run_input(
    flow_run_id: UUID, key_prefix: str, limit: int = 1, exclude_keys: Iterable[str] = ()
) -> "Call[list[FlowRunInput]]":
    """Inputs whose keys begin with `key_prefix`, the oldest first, without those in `exclude_keys`."""
    body = {"prefix": key_prefix, "limit": limit, "exclude_keys": sorted(exclude_keys)}
    return Call("POST", f"/flow_runs/{segment(flow_run_id)}/input/filter", _inputs, body=body)


def delete_flow_run_input(flow_run_id: UUID, key: str) -> Call[None]:
    """Raises NotFound when sent."""
    return Call("DELETE", f"/flow_runs/{segment(flow_run_id)}/input/{segment(key)}", nothing)


def _inputs() -> "type[list[FlowRunInput]]":
    from penstock.model.flow_run_inputs import FlowRunInput

    return list[FlowRunInput]
