"""Deployments and their runs in a world of operations."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock.model.base import new_id
from penstock.model.deployments import DeploymentCreate
from penstock.model.flow_runs import DeploymentFlowRunCreate
from penstock.model.states import StateCreate, StateDetails, StateType
from penstock.server.database import tables as t
from penstock.server.operations.create_deployment import create_deployment
from penstock.server.operations.create_flow_run_from_deployment import create_flow_run_from_deployment


def claimed(orders: Any) -> list[UUID]:
    return [claim.flow_run.id for claim in orders.claims]


def deploy(world: Any, queue: str, name: str = "d", limit: int | None = None, **values: Any) -> UUID:
    asked = DeploymentCreate(
        name=name, flow_id=world.flow_id, work_queue_name=queue, concurrency_limit=limit, entrypoint="f.py:f", **values
    )
    return world.write(create_deployment, asked)[0].id


def ask_for(world: Any, deployment_id: UUID, due: float = 0.0, **values: Any) -> UUID:
    """A run of the deployment, due so many seconds from now."""
    details = StateDetails(scheduled_time=world.time.now + timedelta(seconds=due))
    asked = DeploymentFlowRunCreate(state=StateCreate(type=StateType.SCHEDULED, state_details=details), **values)
    return world.write(create_flow_run_from_deployment, deployment_id, asked)[0].id


def infrastructure(world: Any, slug: str) -> UUID:
    """A saved block of an infrastructure type; the type is made if it is missing."""
    ids = {"created": world.time.now, "updated": world.time.now}

    def insert(tx: Any) -> UUID:
        type_id = tx.execute(sa.select(t.block_type.c.id).where(t.block_type.c.slug == slug)).scalar_one_or_none()
        if type_id is None:
            type_id = new_id()
            tx.execute(sa.insert(t.block_type).values(id=type_id, name=slug, slug=slug, is_protected=False, **ids))
        schema = {"checksum": f"sha256:{new_id()}", "version": "1", "fields": {}, "capabilities": []}
        schema_id, document_id = new_id(), new_id()
        tx.execute(sa.insert(t.block_schema).values(id=schema_id, block_type_id=type_id, **schema, **ids))
        document = {"block_type_id": type_id, "block_schema_id": schema_id, "name": str(document_id), "data": {}}
        tx.execute(sa.insert(t.block_document).values(id=document_id, is_anonymous=False, **document, **ids))
        return document_id

    return world.write(insert)
