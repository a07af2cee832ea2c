"""Calls about work queues. A queue that is named without a work pool belongs to the default agent pool."""

from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from penstock.client.call import Call, given, nothing, segment

if TYPE_CHECKING:
    from penstock.model.flow_runs import FlowRun
    from penstock.model.work_queues import WorkQueue, WorkQueueCreate, WorkQueueStatusDetail, WorkQueueUpdate


def create_work_queue(work_queue: "WorkQueueCreate", work_pool: str | None = None) -> "Call[WorkQueue]":
    """Raises Conflict when sent if there is a queue of that name."""
    path = f"/work_pools/{segment(work_pool)}/queues" if work_pool else "/work_queues/"
    return Call("POST", path, _work_queue, body=work_queue)


def read_work_queue(work_queue_id: UUID) -> "Call[WorkQueue]":
    return Call("GET", f"/work_queues/{segment(work_queue_id)}", _work_queue)


def read_work_queue_by_name(name: str, work_pool: str | None = None) -> "Call[WorkQueue]":
    pool = f"/work_pools/{segment(work_pool)}/queues" if work_pool else "/work_queues/name"
    return Call("GET", f"{pool}/{segment(name)}", _work_queue)


def read_work_queues(
    *,
    work_queue_filter: dict[str, Any] | None = None,
    work_pool: str | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> "Call[list[WorkQueue]]":
    path = f"/work_pools/{segment(work_pool)}/queues/filter" if work_pool else "/work_queues/filter"
    return Call("POST", path, _work_queues, body=given(work_queues=work_queue_filter, limit=limit, offset=offset))


def update_work_queue(work_queue_id: UUID, work_queue: "WorkQueueUpdate") -> Call[None]:
    """Change the fields that `work_queue` sets."""
    return Call("PATCH", f"/work_queues/{segment(work_queue_id)}", nothing, body=work_queue, partial=True)


def delete_work_queue(work_queue_id: UUID) -> Call[None]:
    return Call("DELETE", f"/work_queues/{segment(work_queue_id)}", nothing)


def read_work_queue_status(work_queue_id: UUID) -> "Call[WorkQueueStatusDetail]":
    return Call("GET", f"/work_queues/{segment(work_queue_id)}/status", _status)


def read_runs_in_work_queue(
    work_queue_id: UUID, *, scheduled_before: datetime | None = None, limit: int | None = None
) -> "Call[list[FlowRun]]":
    """The runs that the queue would hand out, the earliest first."""
    path = f"/work_queues/{segment(work_queue_id)}/get_runs"
    return Call("POST", path, _flow_runs, body=given(scheduled_before=scheduled_before, limit=limit))


def _work_queue() -> "type[WorkQueue]":
    from penstock.model.work_queues import WorkQueue

    return WorkQueue


def _work_queues() -> "type[list[WorkQueue]]":
    from penstock.model.work_queues import WorkQueue

    return list[WorkQueue]


def _status() -> "type[WorkQueueStatusDetail]":
    from penstock.model.work_queues import WorkQueueStatusDetail

    return WorkQueueStatusDetail


def _flow_runs() -> "type[list[FlowRun]]":
    from penstock.model.flow_runs import FlowRun

    return list[FlowRun]
