from collections.abc import Sequence
from uuid import UUID

import sqlalchemy as sa

from penstock.model.base import new_id
from penstock.model.deployments import DeploymentSchedule, DeploymentScheduleCreate
from penstock.server.database import tables as t
from penstock.server.database.connection import Transaction
from penstock.server.operations.delete_scheduled_runs import delete_scheduled_runs


def insert_deployment_schedules(
    tx: Transaction, deployment_id: UUID, schedules: Sequence[DeploymentScheduleCreate]
) -> list[DeploymentSchedule]:
    """Add schedules to a deployment."""
    stamps = {"deployment_id": deployment_id, "created": tx.now, "updated": tx.now}
    rows = [
        {"id": new_id(), **stamps, **schedule.model_dump(), "schedule": schedule.schedule.model_dump(mode="json")}
        for schedule in schedules
    ]
    if rows:
        tx.execute(t.deployment_schedule.insert(), rows)
    return [DeploymentSchedule.model_validate(row) for row in rows]


def replace_deployment_schedules(
    tx: Transaction, deployment_id: UUID, schedules: Sequence[DeploymentScheduleCreate]
) -> None:
    """Make `schedules` the deployment's schedules."""
    tx.execute(t.deployment_schedule.delete().where(t.deployment_schedule.c.deployment_id == deployment_id))
    insert_deployment_schedules(tx, deployment_id, schedules)


def plan_anew(tx: Transaction, deployment_id: UUID) -> None:
    """Forget the runs that were planned for a deployment as it was: the scheduler sees the change and plans anew."""
    run, deployment = t.flow_run.c, t.deployment
    delete_scheduled_runs(tx, sa.and_(run.deployment_id == deployment_id, run.auto_scheduled.is_(True)))
    tx.execute(deployment.update().where(deployment.c.id == deployment_id).values(updated=tx.now))
