from typing import Any

import sqlalchemy as sa

from penstock.errors import NotFound
from penstock.model.base import new_id
from penstock.model.deployments import Deployment, DeploymentCreate
from penstock.server.database import tables as t
from penstock.server.database.connection import Transaction
from penstock.server.database.inserts import insert_if_absent
from penstock.server.operations.deployment_values import (
    given_schedules,
    given_values,
    queue_values,
    refuse_wrong_overrides,
)
from penstock.server.operations.read_deployments import read_deployment
from penstock.server.operations.slot_topics import topic_of
from penstock.server.operations.write_deployment_schedules import plan_anew, replace_deployment_schedules
from penstock.server.rules.parameters import refuse_unfit_parameters

_DEFAULTS: dict[str, Any] = {
    "is_schedule_active": True,
    "paused": False,
    "infra_overrides": {},
    "parameters": {},
    "tags": [],
    "enforce_parameter_schema": False,
}


def create_deployment(tx: Transaction, asked: DeploymentCreate) -> tuple[Deployment, bool]:
    """The deployment, and whether it is new. If the flow has one of that name, its given fields are changed.

    Its work queue is made if it is missing.
    Raises NotFound for an unknown flow or pool, Conflict for an unknown block, ParameterError for unfit parameters,
    Invalid for overrides that its infrastructure does not take.
    """
    if tx.execute(sa.select(t.flow.c.id).where(t.flow.c.id == asked.flow_id)).one_or_none() is None:
        raise NotFound(f"Flow not found: {asked.flow_id}")
    values = given_values(tx, asked)
    refuse_unfit_parameters(
        asked.parameters,
        asked.parameter_openapi_schema if asked.enforce_parameter_schema else None,
        partial=True,
    )
    queue = queue_values(tx, asked.work_queue_name, asked.work_pool_name)
    stamps = {"id": new_id(), "created": tx.now, "updated": tx.now}
    created = insert_if_absent(tx, t.deployment, {**_DEFAULTS, **stamps, **values, **queue})
    same = sa.and_(t.deployment.c.flow_id == asked.flow_id, t.deployment.c.name == asked.name)
    before = None
    if not created:
        if "infra_overrides" not in values:
            before = tx.execute(sa.select(t.deployment).where(same)).one()
        if {"work_queue_name", "work_pool_name"} & asked.model_fields_set:
            values |= queue
        tx.execute(t.deployment.update().where(same).values(**values, updated=tx.now))
    deployment_id = tx.execute(sa.select(t.deployment.c.id).where(same)).scalar_one()
    schedules = given_schedules(asked)
    if schedules is not None:
        replace_deployment_schedules(tx, deployment_id, schedules)
    plan_anew(tx, deployment_id)
    tx.notify(topic_of(("deployment", deployment_id)))
    deployment = read_deployment(tx, deployment_id)
    refuse_wrong_overrides(tx, deployment, before)
    return deployment, created
