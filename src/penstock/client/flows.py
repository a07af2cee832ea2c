"""Calls about flows."""

from typing import TYPE_CHECKING, Any
from uuid import UUID

from penstock.client.call import Call, given, nothing, segment, whole_number

if TYPE_CHECKING:
    from penstock.model.flows import Flow, FlowCreate, FlowUpdate


def create_flow(flow: "FlowCreate") -> "Call[Flow]":
    """Create a flow; the one that has its name already is returned as it is."""
    return Call("POST", "/flows/", _flow, body=flow)


def read_flow(flow_id: UUID) -> "Call[Flow]":
    return Call("GET", f"/flows/{segment(flow_id)}", _flow)


def read_flow_by_name(name: str) -> "Call[Flow]":
    return Call("GET", f"/flows/name/{segment(name)}", _flow)


def read_flows(
    *,
    flow_filter: dict[str, Any] | None = None,
    flow_run_filter: dict[str, Any] | None = None,
    deployment_filter: dict[str, Any] | None = None,
    sort: str | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> "Call[list[Flow]]":
    body = given(
        flows=flow_filter,
        flow_runs=flow_run_filter,
        deployments=deployment_filter,
        sort=sort,
        limit=limit,
        offset=offset,
    )
    return Call("POST", "/flows/filter", _flows, body=body)


def count_flows(
    *, flow_filter: dict[str, Any] | None = None, flow_run_filter: dict[str, Any] | None = None
) -> Call[int]:
    return Call("POST", "/flows/count", whole_number, body=given(flows=flow_filter, flow_runs=flow_run_filter))


def update_flow(flow_id: UUID, flow: "FlowUpdate") -> Call[None]:
    return Call("PATCH", f"/flows/{segment(flow_id)}", nothing, body=flow, partial=True)


def delete_flow(flow_id: UUID) -> Call[None]:
    return Call("DELETE", f"/flows/{segment(flow_id)}", nothing)


def _flow() -> "type[Flow]":
    from penstock.model.flows import Flow

    return Flow


def _flows() -> "type[list[Flow]]":
    from penstock.model.flows import Flow

    return list[Flow]
