"""A flow run (run): one execution of a flow that somebody asked for."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import Field

from penstock.model.base import Data, JSONObject, Request, Stored
from penstock.model.states import State, StateCreate, StateType


class FlowRunPolicy(Data):
    """The user's retry policy and what the rules remember about a run. Delays are seconds."""

    max_retries: int = 0
    retry_delay_seconds: float = 0
    retries: int | None = None
    retry_delay: int | float | None = None
    pause_keys: list[str] | None = Field(default_factory=list)
    resuming: bool | None = False
    retry_type: str | None = None


class CreatedBy(Data):
    id: UUID | None = None
    type: str | None = None
    display_value: str | None = None


class FlowRun(Stored):
    """Durations are seconds. `attempt_count` is how often the run was launched on infrastructure."""

    name: str
    flow_id: UUID
    state_id: UUID | None = None
    deployment_id: UUID | None = None
    deployment_version: str | None = None
    work_queue_id: UUID | None = None
    work_queue_name: str | None = None
    work_pool_id: UUID | None = None
    work_pool_name: str | None = None
    flow_version: str | None = None
    parameters: JSONObject = Field(default_factory=dict)
    idempotency_key: str | None = None
    context: JSONObject = Field(default_factory=dict)
    empirical_policy: FlowRunPolicy = Field(default_factory=FlowRunPolicy)
    tags: list[str] = Field(default_factory=list)
    parent_task_run_id: UUID | None = None
    state_type: StateType | None = None
    state_name: str | None = None
    run_count: int = 0
    expected_start_time: datetime | None = None
    next_scheduled_start_time: datetime | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    total_run_time: float = 0.0
    estimated_run_time: float = 0.0
    estimated_start_time_delta: float = 0.0
    auto_scheduled: bool = False
    infrastructure_document_id: UUID | None = None
    infrastructure_pid: str | None = None
    created_by: CreatedBy | None = None
    state: State | None = None
    job_variables: JSONObject = Field(default_factory=dict)
    attempt_count: int = 0


class FlowRunCreate(Request):
    """A run of a flow that the caller itself executes: no deployment's infrastructure is involved."""

    flow_id: UUID
    state: StateCreate | None = None
    name: str | None = None
    flow_version: str | None = None
    parameters: JSONObject = Field(default_factory=dict)
    context: JSONObject = Field(default_factory=dict)
    parent_task_run_id: UUID | None = None
    infrastructure_document_id: UUID | None = None
    empirical_policy: FlowRunPolicy = Field(default_factory=FlowRunPolicy)
    tags: list[str] = Field(default_factory=list)
    idempotency_key: str | None = None
    deployment_id: UUID | None = None
    job_variables: JSONObject | None = None


class DeploymentFlowRunCreate(Request):
    """A run of a deployment. `state` defaults to Scheduled for now."""

    state: StateCreate | None = None
    name: str | None = None
    parameters: JSONObject = Field(default_factory=dict)
    enforce_parameter_schema: bool | None = None
    context: JSONObject = Field(default_factory=dict)
    infrastructure_document_id: UUID | None = None
    empirical_policy: FlowRunPolicy = Field(default_factory=FlowRunPolicy)
    tags: list[str] = Field(default_factory=list)
    idempotency_key: str | None = None
    parent_task_run_id: UUID | None = None
    work_queue_name: str | None = None
    job_variables: JSONObject | None = None


class FlowRunUpdate(Request):
    name: str | None = None
    flow_version: str | None = None
    parameters: JSONObject | None = None
    empirical_policy: FlowRunPolicy | None = None
    tags: list[str] | None = None
    infrastructure_pid: str | None = None
    job_variables: JSONObject | None = None


class FlowRunSort(StrEnum):
    ID_DESC = "ID_DESC"
    START_TIME_ASC = "START_TIME_ASC"
    START_TIME_DESC = "START_TIME_DESC"
    EXPECTED_START_TIME_ASC = "EXPECTED_START_TIME_ASC"
    EXPECTED_START_TIME_DESC = "EXPECTED_START_TIME_DESC"
    NAME_ASC = "NAME_ASC"
    NAME_DESC = "NAME_DESC"
    NEXT_SCHEDULED_START_TIME_ASC = "NEXT_SCHEDULED_START_TIME_ASC"
    END_TIME_DESC = "END_TIME_DESC"
