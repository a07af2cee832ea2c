from uuid import UUID

import sqlalchemy as sa

from penstock.errors import NotFound
from penstock.model.flow_run_inputs import FlowRunInput, FlowRunInputQuery
from penstock.server.database.connection import Transaction
from penstock.server.database.tables import flow_run_input


def read_flow_run_input(tx: Transaction, flow_run_id: UUID, key: str) -> FlowRunInput:
    """Raises NotFound."""
    found = sa.select(flow_run_input).where(flow_run_input.c.flow_run_id == flow_run_id, flow_run_input.c.key == key)
    row = tx.execute(found).one_or_none()
    if row is None:
        raise no_input(flow_run_id, key)
    return FlowRunInput(**row._mapping)


def read_flow_run_inputs(tx: Transaction, flow_run_id: UUID, query: FlowRunInputQuery) -> list[FlowRunInput]:
    """The inputs of the run whose keys begin so, the oldest first."""
    c = flow_run_input.c
    statement = sa.select(flow_run_input).where(c.flow_run_id == flow_run_id)
    if query.prefix:
        statement = statement.where(c.key.startswith(query.prefix, autoescape=True))
    if query.exclude_keys:
        statement = statement.where(c.key.not_in(query.exclude_keys))
    rows = tx.execute(statement.order_by(c.created, c.id).limit(query.limit))
    return [FlowRunInput(**row._mapping) for row in rows]


def no_input(flow_run_id: UUID, key: str) -> NotFound:
    return NotFound(f"The flow run {flow_run_id} has no input {key!r}.", code="input_not_found")
