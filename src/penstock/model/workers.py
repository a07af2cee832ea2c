"""Prefect 2's workers, as far as the API speaks of them: who polls a work pool, and when it last did."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import Field

from penstock.model.base import Request, Stored
from penstock.model.filters import MAX_LIMIT, Between, Filter


class WorkerStatus(StrEnum):
    ONLINE = "ONLINE"
    OFFLINE = "OFFLINE"


class Worker(Stored):
    name: str
    work_pool_id: UUID
    last_heartbeat_time: datetime | None = None
    heartbeat_interval_seconds: int | None = None
    status: WorkerStatus = WorkerStatus.OFFLINE


class WorkerHeartbeat(Request):
    name: str
    heartbeat_interval_seconds: int | None = Field(default=None, ge=1)


class AnyWorkerStatus(Request):
    any_: list[WorkerStatus] | None = None
    not_any_: list[WorkerStatus] | None = None


class WorkerFilter(Filter):
    last_heartbeat_time: Between | None = None
    status: AnyWorkerStatus | None = None


class WorkerList(Request):
    """Body of ``POST /work_pools/{name}/workers/filter``."""

    workers: WorkerFilter | None = None
    offset: int | None = Field(default=0, ge=0)
    limit: int | None = Field(default=None, ge=0, le=MAX_LIMIT)
