from uuid import UUID

import sqlalchemy as sa

from penstock.model.flows import FlowUpdate
from penstock.server.database.connection import Transaction
from penstock.server.database.tables import flow
from penstock.server.operations.read_flow import read_flow


def update_flow(tx: Transaction, flow_id: UUID, asked: FlowUpdate) -> None:
    """Change what is given. Raises NotFound."""
    read_flow(tx, flow_id)
    values = asked.model_dump(exclude_unset=True, exclude_none=True)
    tx.execute(sa.update(flow).where(flow.c.id == flow_id).values(**values, updated=tx.now))
