"""What is asked of a deployment, as columns."""

from collections.abc import Mapping
from typing import Any, Protocol
from uuid import UUID

import sqlalchemy as sa

from penstock.errors import Conflict, Invalid
from penstock.model.deployments import DeploymentCreate, DeploymentScheduleCreate, DeploymentUpdate
from penstock.server.database import tables as t
from penstock.server.database.connection import Transaction
from penstock.server.database.infrastructure_fields import schemas_of_infrastructure
from penstock.server.operations.ensure_work_queue import ensure_work_queue
from penstock.server.rules.overrides import wrong_overrides

#: Columns that keep what they hold when null is sent.
_NEVER_NULL = frozenset(
    {
        "name",
        "flow_id",
        "is_schedule_active",
        "paused",
        "infra_overrides",
        "parameters",
        "tags",
        "enforce_parameter_schema",
    }
)
_APART = {"schedule", "schedules", "job_variables", "work_pool_name", "is_schedule_active", "paused"}


class Overridden(Protocol):
    """A deployment or its row: infrastructure, and what is changed of it."""

    @property
    def infra_overrides(self) -> Mapping[str, Any]: ...
    @property
    def infrastructure_document_id(self) -> UUID | None: ...


def given_values(tx: Transaction, asked: DeploymentCreate | DeploymentUpdate) -> dict[str, Any]:
    """The columns for the fields that were given. Raises Conflict if a block that they name does not exist.

    `job_variables` is the newer name of `infra_overrides`; `paused` that of a schedule that is not active.
    """
    given = asked.model_dump(exclude_unset=True)
    values = {key: value for key, value in given.items() if key not in _APART}
    if given.get("job_variables") is not None:
        values["infra_overrides"] = given["job_variables"]
    paused = _paused(given)
    if paused is not None:
        values |= {"paused": paused, "is_schedule_active": not paused}
    values = {key: value for key, value in values.items() if value is not None or key not in _NEVER_NULL}
    for key in ("infrastructure_document_id", "storage_document_id"):
        if values.get(key) is not None:
            refuse_unknown_document(tx, values[key], key)
    return values


def queue_values(tx: Transaction, queue_name: str | None, pool_name: str | None) -> dict[str, Any]:
    """The columns for the queue, which is made if it is missing. Raises NotFound if there is no such pool."""
    queue_id = ensure_work_queue(tx, queue_name, pool_name)
    name = tx.execute(sa.select(t.work_queue.c.name).where(t.work_queue.c.id == queue_id)).scalar_one()
    return {"work_queue_id": queue_id, "work_queue_name": name}


def given_schedules(asked: DeploymentCreate | DeploymentUpdate) -> list[DeploymentScheduleCreate] | None:
    """The schedules that were given, in the list or as the one; None if nothing was said about them."""
    if asked.schedules is not None and (asked.schedules or asked.schedule is None):
        return asked.schedules
    if asked.schedule is not None:
        return [DeploymentScheduleCreate(schedule=asked.schedule)]
    return [] if "schedule" in asked.model_fields_set and "schedules" not in asked.model_fields_set else None


def _paused(given: dict[str, Any]) -> bool | None:
    if given.get("paused") or given.get("is_schedule_active") is False:
        return True
    if given.get("paused") is False or given.get("is_schedule_active"):
        return False
    return None


def refuse_unknown_document(tx: Transaction, document_id: UUID, field: str) -> None:
    """Raise Conflict if there is no such block document; `field` is where it was named."""
    document = t.block_document.c
    if tx.execute(sa.select(document.id).where(document.id == document_id)).one_or_none() is None:
        raise Conflict(f"{field}: there is no block document {document_id}.", code="unknown_block")


def refuse_wrong_overrides(tx: Transaction, after: Overridden, before: Overridden | None) -> None:
    """Raise Invalid for an override that the infrastructure of `after` does not take, unless that was so in `before`.

    Without an infrastructure block nobody knows what will run it, and nothing is refused.
    """
    wrong = _wrong_overrides(tx, after)
    had = _wrong_overrides(tx, before) if wrong and before is not None else {}
    for key, error in wrong.items():
        if before is None or key not in had or after.infra_overrides[key] != before.infra_overrides[key]:
            raise error


def _wrong_overrides(tx: Transaction, of: Overridden) -> dict[str, Invalid]:
    if of.infrastructure_document_id is None or not of.infra_overrides:
        return {}
    schemas = schemas_of_infrastructure(tx, of.infrastructure_document_id)
    return wrong_overrides(of.infra_overrides, schemas, "infra_overrides")
