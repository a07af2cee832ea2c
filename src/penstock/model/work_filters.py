"""What is asked about work pools, their queues, and the runs that wait there."""

from datetime import datetime
from typing import Self
from uuid import UUID

from pydantic import Field

from penstock.model.base import Data, Request
from penstock.model.filters import MAX_LIMIT, WorkPoolFilter, WorkQueueFilter
from penstock.model.flow_runs import FlowRun


class WorkPage(Request):
    """`limit` objects, 200 by default, after the first `offset`."""

    offset: int | None = Field(default=0, ge=0)
    limit: int | None = Field(default=None, ge=0, le=MAX_LIMIT)


class WorkPoolCount(Request):
    work_pools: WorkPoolFilter | None = None


class WorkPoolList(WorkPage, WorkPoolCount):
    """Body of ``POST /work_pools/filter``."""


class WorkQueueList(WorkPage):
    """Body of ``POST /work_queues/filter`` and of its counterpart within a pool."""

    work_queues: WorkQueueFilter | None = None


class QueueRunsQuery(Request):
    """Body of ``POST /work_queues/{id}/get_runs``."""

    scheduled_before: datetime | None = None
    agent_id: UUID | None = None
    limit: int | None = Field(default=None, ge=0, le=MAX_LIMIT)


class PoolRunsQuery(Request):
    """Body of ``POST /work_pools/{name}/get_scheduled_flow_runs``; without names, all queues of the pool."""

    work_queue_names: list[str] | None = None
    scheduled_before: datetime | None = None
    scheduled_after: datetime | None = None
    limit: int | None = Field(default=None, ge=0, le=MAX_LIMIT)


class DeploymentRunsQuery(Request):
    """Body of ``POST /deployments/get_scheduled_flow_runs``."""

    deployment_ids: list[UUID]
    scheduled_before: datetime | None = None
    limit: int | None = Field(default=None, ge=0, le=MAX_LIMIT)


class PlanRequest(Request):
    """Body of ``POST /deployments/{id}/schedule``."""

    start_time: datetime | None = None
    end_time: datetime | None = None
    min_time: float | None = None
    min_runs: int | None = None
    max_runs: int | None = None


class PoolRun(Data):
    """A run that waits in a pool, as a worker gets it."""

    work_pool_id: UUID
    work_queue_id: UUID
    flow_run: FlowRun

    @classmethod
    def of(cls, run: FlowRun) -> Self:
        """`run` must wait in a queue."""
        assert run.work_pool_id is not None
        assert run.work_queue_id is not None
        return cls(work_pool_id=run.work_pool_id, work_queue_id=run.work_queue_id, flow_run=run)
