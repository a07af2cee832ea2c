"""A deployment: a flow, where its code lies, infrastructure, schedule, parameters."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import Field

from penstock.model.base import JSONObject, Name, Request, Stored
from penstock.model.flow_runs import CreatedBy
from penstock.model.schedule_checks import CheckedSchedule
from penstock.model.schedules import CatchupPolicy, Schedule


class DeploymentScheduleCreate(Request):
    """One of a deployment's schedules.

    `parameters` go over the deployment's own. While `max_active_runs` of its runs are live, a due one waits.
    `max_scheduled_runs`: how many are planned ahead at most. `catchup` is kept and says nothing: `catchup_policy` does.
    """

    schedule: CheckedSchedule
    active: bool = True
    max_active_runs: int | None = Field(default=None, ge=1)
    max_scheduled_runs: int | None = Field(default=None, ge=1)
    catchup: bool = False
    name: Name | None = None
    parameters: JSONObject = Field(default_factory=dict)
    catchup_policy: CatchupPolicy = CatchupPolicy.ALL


class DeploymentSchedule(Stored):
    deployment_id: UUID | None = None
    schedule: Schedule
    active: bool = True
    max_active_runs: int | None = None
    max_scheduled_runs: int | None = None
    catchup: bool = False
    name: str | None = None
    parameters: JSONObject = Field(default_factory=dict)
    catchup_policy: CatchupPolicy = CatchupPolicy.ALL


class DeploymentScheduleUpdate(Request):
    """Only fields that are given are changed."""

    schedule: CheckedSchedule | None = None
    active: bool | None = None
    max_active_runs: int | None = Field(default=None, ge=1)
    max_scheduled_runs: int | None = Field(default=None, ge=1)
    catchup: bool | None = None
    name: Name | None = None
    parameters: JSONObject | None = None
    catchup_policy: CatchupPolicy | None = None


class DeploymentStatus(StrEnum):
    READY = "READY"
    NOT_READY = "NOT_READY"


class Deployment(Stored):
    name: str
    flow_id: UUID
    version: str | None = None
    description: str | None = None
    schedule: Schedule | None = None
    schedules: list[DeploymentSchedule] = Field(default_factory=list)
    is_schedule_active: bool = True
    paused: bool = False
    infra_overrides: JSONObject = Field(default_factory=dict)
    job_variables: JSONObject = Field(default_factory=dict)
    parameters: JSONObject = Field(default_factory=dict)
    tags: list[str] = Field(default_factory=list)
    work_queue_name: str | None = None
    work_queue_id: UUID | None = None
    work_pool_name: str | None = None
    last_polled: datetime | None = None
    parameter_openapi_schema: JSONObject | None = None
    path: str | None = None
    pull_steps: list[JSONObject] | None = None
    entrypoint: str | None = None
    manifest_path: str | None = None
    storage_document_id: UUID | None = None
    infrastructure_document_id: UUID | None = None
    created_by: CreatedBy | None = None
    updated_by: CreatedBy | None = None
    status: DeploymentStatus = DeploymentStatus.NOT_READY
    enforce_parameter_schema: bool = False
    #: how many of its runs may be live at once
    concurrency_limit: int | None = None


class DeploymentCreate(Request):
    """Creating a deployment whose flow and name exist updates it."""

    name: Name
    flow_id: UUID
    infra_overrides: JSONObject | None = None
    job_variables: JSONObject | None = None
    is_schedule_active: bool | None = True
    paused: bool = False
    schedule: CheckedSchedule | None = None
    schedules: list[DeploymentScheduleCreate] | None = None
    enforce_parameter_schema: bool | None = False
    parameter_openapi_schema: JSONObject | None = None
    parameters: JSONObject = Field(default_factory=dict)
    tags: list[str] = Field(default_factory=list)
    pull_steps: list[JSONObject] | None = None
    manifest_path: str | None = None
    work_queue_name: str | None = None
    work_pool_name: str | None = None
    storage_document_id: UUID | None = None
    infrastructure_document_id: UUID | None = None
    description: str | None = None
    path: str | None = None
    version: str | None = None
    entrypoint: str | None = None
    concurrency_limit: int | None = Field(default=None, ge=0)


class DeploymentUpdate(Request):
    """Only fields that are given are changed."""

    version: str | None = None
    schedule: CheckedSchedule | None = None
    schedules: list[DeploymentScheduleCreate] | None = None
    description: str | None = None
    is_schedule_active: bool = True
    paused: bool = False
    parameters: JSONObject | None = None
    tags: list[str] | None = None
    work_queue_name: str | None = None
    work_pool_name: str | None = None
    path: str | None = None
    infra_overrides: JSONObject | None = None
    job_variables: JSONObject | None = None
    entrypoint: str | None = None
    manifest_path: str | None = None
    storage_document_id: UUID | None = None
    infrastructure_document_id: UUID | None = None
    enforce_parameter_schema: bool | None = None
    concurrency_limit: int | None = Field(default=None, ge=0)


class DeploymentSort(StrEnum):
    CREATED_DESC = "CREATED_DESC"
    UPDATED_DESC = "UPDATED_DESC"
    NAME_ASC = "NAME_ASC"
    NAME_DESC = "NAME_DESC"
