"""Calls about limits on how many flow runs are live at once, and about who takes their slots."""

from typing import TYPE_CHECKING
from uuid import UUID

from penstock.client.call import Call, given, nothing, segment

if TYPE_CHECKING:
    from penstock.model.flow_run_limits import FlowRunTagLimit, SlotUse


def read_slots_of_work_queue(work_queue_id: UUID) -> "Call[SlotUse]":
    """The runs that are live in the queue, and its limit."""
    return Call("GET", f"/work_queues/{segment(work_queue_id)}/slots", _use)


def read_slots_of_work_pool(name: str) -> "Call[SlotUse]":
    """The runs that are live in the pool, and its limit."""
    return Call("GET", f"/work_pools/{segment(name)}/slots", _use)


def read_slots_of_deployment(deployment_id: UUID) -> "Call[SlotUse]":
    """The deployment's runs that are live, and its limit."""
    return Call("GET", f"/deployments/{segment(deployment_id)}/slots", _use)


def read_slots_of_flow_run_tag(tag: str) -> "Call[SlotUse]":
    """The flow runs with the tag that are live, and its limit. Raises NotFound when sent if it is not limited."""
    return Call("GET", f"/flow_run_tag_limits/slots/{segment(tag)}", _use)


def create_flow_run_tag_limit(tag: str, concurrency_limit: int) -> "Call[FlowRunTagLimit]":
    """Limit how many flow runs with `tag` are live at once, or change that limit."""
    body = {"tag": tag, "concurrency_limit": concurrency_limit}
    return Call("POST", "/flow_run_tag_limits/", _limit, body=body)


def read_flow_run_tag_limit(tag: str) -> "Call[FlowRunTagLimit]":
    return Call("GET", f"/flow_run_tag_limits/tag/{segment(tag)}", _limit)


def read_flow_run_tag_limits(limit: int | None = None, offset: int = 0) -> "Call[list[FlowRunTagLimit]]":
    """The newest first."""
    return Call("POST", "/flow_run_tag_limits/filter", _limits, body=given(limit=limit, offset=offset))


def delete_flow_run_tag_limit(tag: str) -> Call[None]:
    return Call("DELETE", f"/flow_run_tag_limits/tag/{segment(tag)}", nothing)


def _use() -> "type[SlotUse]":
    from penstock.model.flow_run_limits import SlotUse

    return SlotUse


def _limit() -> "type[FlowRunTagLimit]":
    from penstock.model.flow_run_limits import FlowRunTagLimit

    return FlowRunTagLimit


def _limits() -> "type[list[FlowRunTagLimit]]":
    from penstock.model.flow_run_limits import FlowRunTagLimit

    return list[FlowRunTagLimit]
