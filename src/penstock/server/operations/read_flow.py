from uuid import UUID

import sqlalchemy as sa

from penstock.errors import NotFound
from penstock.model.flows import Flow
from penstock.server.database.connection import Transaction
from penstock.server.database.tables import flow
from penstock.server.operations.create_flow import flow_from


def read_flow(tx: Transaction, flow_id: UUID) -> Flow:
    """Raises NotFound."""
    row = tx.execute(sa.select(flow).where(flow.c.id == flow_id)).one_or_none()
    if row is None:
        raise NotFound("Flow not found", code="flow_not_found", hint=f"There is no flow {flow_id}.")
    return flow_from(row)


def read_flow_by_name(tx: Transaction, name: str) -> Flow:
    """Raises NotFound."""
    row = tx.execute(sa.select(flow).where(flow.c.name == name)).one_or_none()
    if row is None:
        raise NotFound("Flow not found", code="flow_not_found", hint=f"There is no flow named {name!r}.")
    return flow_from(row)
