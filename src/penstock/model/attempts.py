"""An attempt: one launch of one run on infrastructure, (run, n), with its lease, token, handle, observations and exit.

The way of an attempt:

    CLAIMED     an agent has it: lease and token exist, nothing was started
    LAUNCHING   intent is written down: job name, reach and configuration; from here on something may exist on the platform
    STARTED     the platform has accepted the job: there is a handle
    RUNNING     the engine has presented the attempt's token: user code may run
    ENDED       the exit is known, or the attempt was fenced; the token is worth nothing any more
"""

from datetime import datetime
from enum import StrEnum
from typing import Literal
from uuid import UUID

from pydantic import Field

from penstock.model.base import Data, JSONObject, Request, Stored, Words
from penstock.model.deployments import Deployment
from penstock.model.flow_runs import FlowRun
from penstock.model.flows import Flow
from penstock.model.reasons import Phase, Reason


class AttemptStatus(StrEnum):
    CLAIMED = "CLAIMED"
    LAUNCHING = "LAUNCHING"
    STARTED = "STARTED"
    RUNNING = "RUNNING"
    ENDED = "ENDED"


class Exit(Data):
    """How a job ended. What is not known is None, never a made-up number. `signal` is a number as in `kill -l`."""

    code: int | None = None
    signal: int | None = None
    oom: bool = False
    reason: Reason | None = None
    message: Words | None = None
    source: str | None = None
    observed_at: datetime | None = None


class Observation(Data):
    """What the platform says of one job at one time.

    `status`: PENDING accepted, not running yet · RUNNING · ENDED, `exit` says how · MISSING, the platform answers that there
    is no such job · UNKNOWN, the platform does not answer: a mark with a time, never a verdict.
    `message` is the platform's own text, verbatim. `waiting_for` is one phrase on what a PENDING job waits for.
    """

    status: Literal["PENDING", "RUNNING", "ENDED", "MISSING", "UNKNOWN"]
    observed_at: datetime
    message: Words | None = None
    reason: Reason | None = None
    phase: Phase | None = None
    waiting_for: Words | None = None
    exit: Exit | None = None


class Limits(Data):
    """Seconds, all judged by the server's clock. None: no limit.

    `start` claim to user code · `run` user code to the end · `cancel` the time that a polite stop and then a forced one may
    take together, beyond `grace`, the time between the two. `paused` is how long the run was paused so far, which does not
    count against `run`.
    """

    start: float | None = 600
    run: float | None = None
    cancel: float = 60
    grace: float = 30
    paused: float = 0


class Attempt(Stored):
    """An attempt as it is read. `configuration` is the snapshot of the resolved infrastructure, without secrets."""

    flow_run_id: UUID
    number: int
    status: AttemptStatus
    agent_id: UUID | None = None
    agent_name: str | None = None
    work_queue_id: UUID | None = None
    infrastructure_type: str | None = None
    reach: str | None = None
    job_name: str | None = None
    handle: JSONObject | None = None
    configuration: JSONObject | None = None
    limits: Limits = Field(default_factory=Limits)
    phase: Phase | None = None
    reason: Reason | None = None
    message: str | None = None
    hint: str | None = None
    waiting_for: str | None = None
    exit: Exit | None = None
    output_tail: str | None = None
    unobserved_since: datetime | None = None
    claimed_at: datetime | None = None
    launched_at: datetime | None = None
    started_at: datetime | None = None
    running_at: datetime | None = None
    #: its engine said then that it was told to end by a signal; its platform knows why
    told_to_end_at: datetime | None = None
    cancel_requested_at: datetime | None = None
    ended_at: datetime | None = None
    lease_expires_at: datetime | None = None
    last_observed_at: datetime | None = None
    last_reported_at: datetime | None = None


class InfrastructureDocument(Data):
    """A saved block as a claim carries it: its type's slug, its schema's version, and its data with secrets in clear.

    `version` None: the data is as the class that reads it wants it.
    """

    slug: str
    name: str | None = None
    version: str | None = None
    data: JSONObject = Field(default_factory=dict)


class Claim(Data):
    """One attempt that now belongs to the asking agent, with all it takes to launch it or to take it over.

    `attempt.status` tells which: CLAIMED is to be launched from the start; LAUNCHING was intended by somebody, find its job
    by `attempt.job_name` or start it again under that very name; STARTED and RUNNING have a handle and are to be watched.

    `storage` says of the deployment's storage no more than which one it is, and of a folder where that lies; it is told
    for infrastructure that is not a plain local process.
    """

    attempt: Attempt
    token: str
    flow_run: FlowRun
    flow: Flow
    deployment: Deployment | None = None
    infrastructure: InfrastructureDocument | None = None
    storage: InfrastructureDocument | None = None


class CancelOrder(Data):
    """Stop this attempt's job: politely, after `grace` seconds by force; report it only when it is confirmed gone."""

    attempt_id: UUID
    grace: float = 30


class AgentPoll(Request):
    """What an agent says and asks in its long poll, which also renews its leases.

    `request_id` names this very poll: the same poll asked again (its answer was lost) gets the same claims again.
    `capacity` is how many new attempts the agent can take now; 0 only renews leases and fetches orders.
    `work_queues`, `work_queue_prefixes`: names within `work_pools` (none: within `work_pool`, None for the default agent
    pool); both empty with a pool given: all its queues. A prefix with `*` or `?` is a pattern for whole names.
    `capabilities` are the infrastructure types that the agent can run; none named: it takes runs of any type.
    `away` are types that it could run if their platform answered, with what came of asking.
    `ramp_up` is how many of its attempts may be on their way to user code at once.
    `reaches` are the places whose jobs this agent can see, see `penstock.infrastructure.base`.
    `attempts` are those it holds, `cancelling` those of them whose cancel order it already follows.
    `wait_seconds` is how long the server may hold the answer back while it has nothing to say.
    """

    agent_id: UUID
    request_id: UUID
    name: str
    host: str | None = None
    version: str | None = None
    work_pool: str | None = None
    work_pools: list[str] = Field(default_factory=list)
    work_queues: list[str] = Field(default_factory=list)
    work_queue_prefixes: list[str] = Field(default_factory=list)
    capacity: int = Field(default=1, ge=0)
    limit: int | None = None
    ramp_up: int | None = Field(default=None, ge=1)
    prefetch_seconds: float = 0
    wait_seconds: float = Field(default=5, ge=0, le=60)
    reaches: list[str] = Field(default_factory=list)
    capabilities: list[str] = Field(default_factory=list)
    away: dict[str, Words] = Field(default_factory=dict)
    attempts: list[UUID] = Field(default_factory=list)
    cancelling: list[UUID] = Field(default_factory=list)
    draining: bool = False


class AgentOrders(Data):
    """The answer to a poll. `release`: attempts that are over or belong to another agent now; forget them. `adrift`:
    infrastructure types of attempts that nobody looks after, in places that this agent has not named; if it can see one of
    these places, it should say so.

    `paused`: names of queues asked for that are paused. `lease_seconds`: poll again well within it.
    """

    claims: list[Claim] = Field(default_factory=list)
    cancel: list[CancelOrder] = Field(default_factory=list)
    release: list[UUID] = Field(default_factory=list)
    paused: list[str] = Field(default_factory=list)
    adrift: list[str] = Field(default_factory=list)
    lease_seconds: float = 15
    server_time: datetime | None = None


class Intent(Request):
    """Written before `start`: under which name and where the job is about to be made."""

    agent_id: UUID
    job_name: str
    reach: str
    infrastructure_type: str
    configuration: JSONObject = Field(default_factory=dict)
    limits: Limits = Field(default_factory=Limits)


class AttemptReport(Request):
    """What an agent tells about one attempt. All but the ids is optional, and saying it twice changes nothing.

    `failure` (with `phase`, `reason`, `message`) says that it could not be launched and that nothing of it is left.
    `output_tail` is the last output known so far (at most 64 kB are kept). `gone` confirms that nothing of the job exists
    any more, which a cancelled attempt needs before its run may be called Cancelled.
    """

    attempt_id: UUID
    agent_id: UUID
    handle: JSONObject | None = None
    infrastructure_pid: str | None = None
    observation: Observation | None = None
    failure: bool = False
    phase: Phase | None = None
    reason: Reason | None = None
    message: Words | None = None
    hint: Words | None = None
    output_tail: Words | None = None
    gone: bool = False


class AttemptReports(Request):
    reports: list[AttemptReport]


class AttemptReportResult(Data):
    """`known` is False when the attempt is not this agent's (any more): forget it."""

    attempt_id: UUID
    known: bool = True
    status: AttemptStatus | None = None


class Presentation(Request):
    """The engine shows its token before any user code is loaded. `instance_id` is made by the engine process itself."""

    token: str
    instance_id: UUID
    pid: int | None = None
    host: str | None = None
    python: str | None = None
    version: str | None = None


class Presented(Data):
    """What the engine needs to run. Given to exactly one engine process per attempt."""

    attempt: Attempt
    flow_run: FlowRun
    flow: Flow
    deployment: Deployment | None = None
    storage: InfrastructureDocument | None = None
