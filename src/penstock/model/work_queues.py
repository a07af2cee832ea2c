from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import Field

from penstock.model.base import Data, Name, Request, Stored

#: The queue of deployments that name none.
DEFAULT_QUEUE = "default"


class WorkQueueStatus(StrEnum):
    READY = "READY"
    NOT_READY = "NOT_READY"
    PAUSED = "PAUSED"


class QueueFilter(Data):
    """A deprecated way to fill a queue; kept as data for clients that still send it."""

    tags: list[str] | None = None
    deployment_ids: list[UUID] | None = None


class WorkQueue(Stored):
    name: str
    description: str | None = ""
    is_paused: bool = False
    concurrency_limit: int | None = None
    priority: int = 1
    work_pool_id: UUID | None = None
    work_pool_name: str | None = None
    filter: QueueFilter | None = None
    last_polled: datetime | None = None
    status: WorkQueueStatus | None = None


class WorkQueueCreate(Request):
    name: Name
    description: str | None = ""
    is_paused: bool = False
    concurrency_limit: int | None = Field(default=None, ge=0)
    priority: int | None = Field(default=None, ge=1)
    filter: QueueFilter | None = None


class WorkQueueUpdate(Request):
    """Only fields that are given are changed."""

    name: Name | None = None
    description: str | None = None
    is_paused: bool = False
    concurrency_limit: int | None = Field(default=None, ge=0)
    priority: int | None = Field(default=None, ge=1)
    last_polled: datetime | None = None
    filter: QueueFilter | None = None


class WorkQueueHealthPolicy(Data):
    maximum_late_runs: int | None = 0
    maximum_seconds_since_last_polled: int | None = 60


class WorkQueueStatusDetail(Data):
    healthy: bool
    late_runs_count: int = 0
    last_polled: datetime | None = None
    health_check_policy: WorkQueueHealthPolicy
