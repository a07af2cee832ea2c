from uuid import UUID

import sqlalchemy as sa

from penstock.errors import NotFound
from penstock.model.deployments import DeploymentUpdate
from penstock.server.database import tables as t
from penstock.server.database.connection import Transaction
from penstock.server.operations.deployment_values import (
    given_schedules,
    given_values,
    queue_values,
    refuse_wrong_overrides,
)
from penstock.server.operations.slot_topics import topic_of
from penstock.server.operations.write_deployment_schedules import plan_anew, replace_deployment_schedules
from penstock.server.rules.parameters import refuse_unfit_parameters


def update_deployment(tx: Transaction, deployment_id: UUID, change: DeploymentUpdate) -> None:
    """Change the fields that were given; runs that were planned for it as it was are planned again.

    Raises NotFound for an unknown deployment or pool, Conflict for an unknown block, ParameterError if its parameters
    do not fit any more, Invalid if its infrastructure does not take an override that it took before, or a new one.
    """
    row = tx.execute(
        sa.select(t.deployment, t.work_pool.c.name.label("work_pool_name"))
        .outerjoin(t.work_queue, t.work_queue.c.id == t.deployment.c.work_queue_id)
        .outerjoin(t.work_pool, t.work_pool.c.id == t.work_queue.c.work_pool_id)
        .where(t.deployment.c.id == deployment_id)
    ).one_or_none()
    if row is None:
        raise NotFound(f"Deployment not found: {deployment_id}")
    values = given_values(tx, change)
    if values.get("enforce_parameter_schema", row.enforce_parameter_schema):
        parameters = values.get("parameters", row.parameters)
        refuse_unfit_parameters(parameters, row.parameter_openapi_schema, partial=True)
    if "work_pool_name" in change.model_fields_set or "work_queue_name" in change.model_fields_set:
        pool = change.work_pool_name if "work_pool_name" in change.model_fields_set else row.work_pool_name
        values |= queue_values(tx, change.work_queue_name, pool)
    mine = t.deployment.c.id == deployment_id
    tx.execute(t.deployment.update().where(mine).values(**values, updated=tx.now))
    if {"infra_overrides", "infrastructure_document_id"} & values.keys():
        refuse_wrong_overrides(tx, tx.execute(sa.select(t.deployment).where(mine)).one(), row)
    schedules = given_schedules(change)
    if schedules is not None:
        replace_deployment_schedules(tx, deployment_id, schedules)
    plan_anew(tx, deployment_id)
    tx.notify(topic_of(("deployment", deployment_id)))


def pause_deployment(tx: Transaction, deployment_id: UUID, paused: bool) -> None:
    """Stop or resume what its schedules plan; runs that somebody asks for are not concerned. Raises NotFound."""
    values = {"paused": paused, "is_schedule_active": not paused, "updated": tx.now}
    statement = t.deployment.update().where(t.deployment.c.id == deployment_id).values(values)
    if tx.execute(statement).rowcount == 0:
        raise NotFound(f"Deployment not found: {deployment_id}")
    plan_anew(tx, deployment_id)
