import sqlalchemy as sa

from penstock.model.filters import LogQuery
from penstock.model.logs import Log, LogSort
from penstock.server.database.connection import Transaction
from penstock.server.database.filters import Conditions
from penstock.server.database.paging import Cut, Order, read_page
from penstock.server.database.tables import log

ORDERS = {
    LogSort.TIMESTAMP_ASC: Order(log.c.position, log.c.timestamp, read_id=int),
    LogSort.TIMESTAMP_DESC: Order(log.c.position, log.c.timestamp, descending=True, read_id=int),
}


def read_logs(tx: Transaction, query: LogQuery) -> tuple[list[Log], str | None]:
    """A page of lines, and the cursor of the next page if there may be one."""
    statement = sa.select(log).where(*Conditions(tx.dialect).log(query.logs))
    cut = Cut(query.sort.value, query.limit, query.offset, query.cursor)
    page = read_page(tx, statement, ORDERS[query.sort], cut)
    return [Log(**row._mapping) for row in page.rows], page.next_cursor
