"""A deployment's schedules, one by one. Every change makes the scheduler plan the deployment's runs anew.

The deployment's row is locked first, as by everybody who changes or plans it.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock.errors import NotFound
from penstock.model.deployments import DeploymentSchedule, DeploymentScheduleCreate, DeploymentScheduleUpdate
from penstock.server.database import tables as t
from penstock.server.database.connection import Transaction
from penstock.server.operations.read_deployments import read_deployment
from penstock.server.operations.write_deployment_schedules import (
    delete_schedule,
    insert_deployment_schedules,
    plan_anew,
    refuse_unfit_schedules,
    write_schedule,
)

_C = t.deployment_schedule.c
#: Fields that have no value when null is sent; the others keep theirs.
_NULLABLE = frozenset({"max_active_runs", "max_scheduled_runs", "name"})


def read_deployment_schedules(tx: Transaction, deployment_id: UUID) -> list[DeploymentSchedule]:
    """Raises NotFound."""
    return read_deployment(tx, deployment_id).schedules


def create_deployment_schedules(
    tx: Transaction, deployment_id: UUID, asked: Sequence[DeploymentScheduleCreate]
) -> list[DeploymentSchedule]:
    """Raises NotFound, Invalid if the deployment has one of them already, ParameterError for unfit parameters."""
    _lock(tx, deployment_id)
    created = insert_deployment_schedules(tx, deployment_id, asked)
    plan_anew(tx, deployment_id)
    return created


def update_deployment_schedule(
    tx: Transaction, deployment_id: UUID, schedule_id: UUID, change: DeploymentScheduleUpdate
) -> None:
    """Change the fields that were given. Raises NotFound, Invalid if there is such a schedule already, ParameterError."""
    given = change.model_dump(mode="json", exclude_unset=True)
    values = {key: value for key, value in given.items() if value is not None or key in _NULLABLE}
    if change.schedule is not None:
        values["schedule"] = change.schedule.model_dump(mode="json")
    write_schedule(tx, _locked_schedule(tx, deployment_id, schedule_id), values)
    refuse_unfit_schedules(tx, deployment_id)
    plan_anew(tx, deployment_id)


def delete_deployment_schedule(tx: Transaction, deployment_id: UUID, schedule_id: UUID) -> None:
    """Raises NotFound."""
    delete_schedule(tx, _locked_schedule(tx, deployment_id, schedule_id).id)
    plan_anew(tx, deployment_id)


def _lock(tx: Transaction, deployment_id: UUID) -> None:
    c = t.deployment.c
    lock = sa.select(c.id).where(c.id == deployment_id).with_for_update(key_share=True)
    if tx.execute(lock).one_or_none() is None:
        raise NotFound(f"Deployment not found: {deployment_id}")


def _locked_schedule(tx: Transaction, deployment_id: UUID, schedule_id: UUID) -> sa.Row[Any]:
    _lock(tx, deployment_id)
    same = (_C.id == schedule_id) & (_C.deployment_id == deployment_id)
    row = tx.execute(sa.select(t.deployment_schedule).where(same)).one_or_none()
    if row is None:
        raise NotFound(f"Schedule not found: {schedule_id}")
    return row
