from enum import StrEnum
from uuid import UUID

from pydantic import Field

from penstock.model.base import JSONObject, Name, Request, Stored

#: The pool of agents; queues that are named without a pool belong to it.
DEFAULT_POOL = "default-agent-pool"


class WorkPoolStatus(StrEnum):
    READY = "READY"
    NOT_READY = "NOT_READY"
    PAUSED = "PAUSED"


class WorkPool(Stored):
    name: str
    description: str | None = None
    type: str = "prefect-agent"
    base_job_template: JSONObject = Field(default_factory=dict)
    is_paused: bool = False
    concurrency_limit: int | None = None
    status: WorkPoolStatus | None = None
    default_queue_id: UUID | None = None


class WorkPoolCreate(Request):
    name: Name
    description: str | None = None
    type: str = "prefect-agent"
    base_job_template: JSONObject = Field(default_factory=dict)
    is_paused: bool = False
    concurrency_limit: int | None = Field(default=None, ge=0)


class WorkPoolUpdate(Request):
    """Only fields that are given are changed."""

    description: str | None = None
    is_paused: bool | None = None
    base_job_template: JSONObject | None = None
    concurrency_limit: int | None = Field(default=None, ge=0)
