"""A deployment's schedules, one by one. Every change makes the scheduler plan the deployment's runs anew."""

from collections.abc import Sequence
from uuid import UUID

from penstock.errors import NotFound
from penstock.model.deployments import DeploymentSchedule, DeploymentScheduleCreate, DeploymentScheduleUpdate
from penstock.server.database import tables as t
from penstock.server.database.connection import Transaction
from penstock.server.operations.read_deployments import read_deployment
from penstock.server.operations.write_deployment_schedules import insert_deployment_schedules, plan_anew

_C = t.deployment_schedule.c


def read_deployment_schedules(tx: Transaction, deployment_id: UUID) -> list[DeploymentSchedule]:
    """Raises NotFound."""
    return read_deployment(tx, deployment_id).schedules


def create_deployment_schedules(
    tx: Transaction, deployment_id: UUID, asked: Sequence[DeploymentScheduleCreate]
) -> list[DeploymentSchedule]:
    """Raises NotFound."""
    read_deployment(tx, deployment_id)
    created = insert_deployment_schedules(tx, deployment_id, asked)
    plan_anew(tx, deployment_id)
    return created


def update_deployment_schedule(
    tx: Transaction, deployment_id: UUID, schedule_id: UUID, change: DeploymentScheduleUpdate
) -> None:
    """Change the fields that were given. Raises NotFound."""
    values = change.model_dump(exclude_unset=True)
    values = {key: value for key, value in values.items() if value is not None or key.startswith("max_")}
    if change.schedule is not None:
        values["schedule"] = change.schedule.model_dump(mode="json")
    same = (_C.id == schedule_id) & (_C.deployment_id == deployment_id)
    if tx.execute(t.deployment_schedule.update().where(same).values(**values, updated=tx.now)).rowcount == 0:
        raise NotFound(f"Schedule not found: {schedule_id}")
    plan_anew(tx, deployment_id)


def delete_deployment_schedule(tx: Transaction, deployment_id: UUID, schedule_id: UUID) -> None:
    """Raises NotFound."""
    same = (_C.id == schedule_id) & (_C.deployment_id == deployment_id)
    if tx.execute(t.deployment_schedule.delete().where(same)).rowcount == 0:
        raise NotFound(f"Schedule not found: {schedule_id}")
    plan_anew(tx, deployment_id)
