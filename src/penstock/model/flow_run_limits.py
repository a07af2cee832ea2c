"""Limits on how many flow runs are live at once, and the runs that take their slots."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from penstock.model.attempts import AttemptStatus
from penstock.model.base import Data, Request, Stored
from penstock.model.states import StateType


class FlowRunTagLimit(Stored):
    """How many flow runs that have `tag` may be live at once. `taken`: how many are."""

    tag: str
    concurrency_limit: int
    taken: int = 0


class FlowRunTagLimitCreate(Request):
    tag: str = Field(min_length=1)
    concurrency_limit: int = Field(ge=0)


class FlowRunTagLimitList(Request):
    limit: int | None = Field(default=None, ge=0, le=200)
    offset: int = Field(default=0, ge=0)


class LiveRun(Data):
    """A run that holds a slot of each limit that it counts against, `since` its newest attempt was claimed.

    `unobserved_since`: since when nobody has been able to see its job; None: it is seen.
    """

    flow_run_id: UUID
    flow_run_name: str
    state_type: StateType | None = None
    state_name: str | None = None
    deployment_id: UUID | None = None
    deployment_name: str | None = None
    work_queue_name: str | None = None
    attempt_id: UUID
    attempt_number: int
    attempt_status: AttemptStatus
    agent_name: str | None = None
    infrastructure_type: str | None = None
    since: datetime
    unobserved_since: datetime | None = None


class SlotUse(Data):
    """A limit, None if there is none; how many slots are `taken`; and by which runs, the longest first.

    At most 200 runs are listed.
    """

    concurrency_limit: int | None = None
    taken: int = 0
    live_runs: list[LiveRun] = Field(default_factory=list)
