from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from penstock.model.base import new_id
from penstock.model.flows import Flow, FlowCreate
from penstock.server.database.connection import Transaction
from penstock.server.database.tables import flow


def flow_from(row: sa.Row[Any]) -> Flow:
    return Flow(**row._mapping)


def create_flow(tx: Transaction, asked: FlowCreate) -> tuple[Flow, bool]:
    """The flow of that name, and whether it is new."""
    by_name = sa.select(flow).where(flow.c.name == asked.name)
    found = tx.execute(by_name).one_or_none()
    if found is not None:
        return flow_from(found), False
    insert = postgresql.insert if tx.dialect == "postgresql" else sqlite.insert
    values = {"id": new_id(), "created": tx.now, "updated": tx.now, "name": asked.name, "tags": asked.tags}
    statement = insert(flow).values(values).on_conflict_do_nothing(index_elements=[flow.c.name])
    created = tx.execute(statement).rowcount == 1
    return flow_from(tx.execute(by_name).one()), created
