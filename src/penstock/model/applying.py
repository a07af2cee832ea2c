"""Applying a deployment: what a file or script says meets what people have changed since."""

from enum import StrEnum
from typing import Any, Self
from uuid import UUID

from pydantic import Field, model_validator

from penstock.model.base import Data, JSONObject, Name, Request
from penstock.model.block_documents import BlockDocumentCreate
from penstock.model.deployments import Deployment, DeploymentScheduleCreate
from penstock.model.schedule_checks import CheckedSchedule


class DeploymentApply(Request):
    """What a file or script says of one deployment: a field that is absent stays as it is, null clears it.

    What says the same as the last time stays as it is, too, so that changes made elsewhere are kept.
    """

    name: Name
    #: the flow, by its id or by its name; a flow of that name is made if there is none
    flow_id: UUID | None = None
    flow_name: str | None = None
    #: say what would happen and change nothing
    dry_run: bool = False
    #: fields whose given values win over changes made elsewhere; true: all of them
    force: bool | list[str] = False

    description: str | None = None
    version: str | None = None
    tags: list[str] | None = None
    parameters: JSONObject | None = None
    parameter_openapi_schema: JSONObject | None = None
    enforce_parameter_schema: bool | None = None
    schedule: CheckedSchedule | None = None
    schedules: list[DeploymentScheduleCreate] | None = None
    is_schedule_active: bool | None = None
    paused: bool | None = None
    concurrency_limit: int | None = Field(default=None, ge=0)
    work_queue_name: str | None = None
    work_pool_name: str | None = None
    infra_overrides: JSONObject | None = None
    job_variables: JSONObject | None = None
    #: a saved block, or the content of one that is the deployment's own
    infrastructure_document_id: UUID | None = None
    infrastructure: BlockDocumentCreate | None = None
    storage_document_id: UUID | None = None
    storage: BlockDocumentCreate | None = None
    path: str | None = None
    entrypoint: str | None = None
    manifest_path: str | None = None
    pull_steps: list[JSONObject] | None = None

    @model_validator(mode="after")
    def _one_flow_and_one_block_each(self) -> Self:
        if (self.flow_id is None) == (self.flow_name is None):
            raise ValueError("say which flow it is, with either flow_id or flow_name")
        for part in ("infrastructure", "storage"):
            if getattr(self, part) is not None and getattr(self, f"{part}_document_id") is not None:
                raise ValueError(f"{part} and {part}_document_id exclude each other")
        return self


class ChangeKind(StrEnum):
    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"


class DeploymentChange(Data):
    """One thing that applying changes. Secrets are masked in all values."""

    #: a path: ``tags``, ``parameters.x``, ``schedules[0 9 * * *].active``
    field: str
    kind: ChangeKind
    before: Any = None
    after: Any = None
    #: what was last applied there; None if nothing was
    last_applied: Any = None
    #: it was applied before, and `before` is something else: somebody changed it since
    changed_elsewhere: bool = False


class KeptValue(Data):
    """What applying leaves as somebody made it elsewhere, because what is given is what was last applied."""

    field: str
    live: Any = None
    given: Any = None


class DeploymentApplied(Data):
    """What applying did, or would do."""

    deployment: Deployment
    is_new: bool = False
    dry_run: bool = False
    changes: list[DeploymentChange] = Field(default_factory=list)
    kept: list[KeptValue] = Field(default_factory=list)
