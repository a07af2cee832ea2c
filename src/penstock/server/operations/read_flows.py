"""List and count flows."""

import sqlalchemy as sa

from penstock.model.filters import FlowCount, FlowQuery
from penstock.model.flows import Flow, FlowSort
from penstock.server.database.connection import Transaction
from penstock.server.database.filters import Conditions
from penstock.server.database.paging import Cut, Order, read_page
from penstock.server.database.tables import flow
from penstock.server.operations.create_flow import flow_from

ORDERS = {
    FlowSort.CREATED_DESC: Order(flow.c.id, flow.c.created, descending=True),
    FlowSort.UPDATED_DESC: Order(flow.c.id, flow.c.updated, descending=True),
    FlowSort.NAME_ASC: Order(flow.c.id, flow.c.name),
    FlowSort.NAME_DESC: Order(flow.c.id, flow.c.name, descending=True),
}


def read_flows(tx: Transaction, query: FlowQuery) -> tuple[list[Flow], str | None]:
    """A page of flows, and the cursor of the next page if there may be one."""
    statement = sa.select(flow).where(*Conditions(tx.dialect).flows(query))
    cut = Cut(query.sort.value, query.limit, query.offset, query.cursor)
    page = read_page(tx, statement, ORDERS[query.sort], cut)
    return [flow_from(row) for row in page.rows], page.next_cursor


def count_flows(tx: Transaction, query: FlowCount) -> int:
    statement = sa.select(sa.func.count()).select_from(flow).where(*Conditions(tx.dialect).flows(query))
    return int(tx.execute(statement).scalar_one())
