from sqlalchemy.dialects import postgresql, sqlite

from penstock.model.base import new_id
from penstock.model.concurrency_limits import ConcurrencyLimit, ConcurrencyLimitCreate
from penstock.server.database.connection import Transaction
from penstock.server.database.slots import TOPIC
from penstock.server.database.tables import concurrency_limit
from penstock.server.operations.read_concurrency_limits import read_concurrency_limit_by_tag


def create_concurrency_limit(tx: Transaction, asked: ConcurrencyLimitCreate) -> ConcurrencyLimit:
    """Limit the tag, or change its limit. Who holds a slot keeps it."""
    insert = postgresql.insert if tx.dialect == "postgresql" else sqlite.insert
    changed = {"concurrency_limit": asked.concurrency_limit, "updated": tx.now}
    statement = insert(concurrency_limit).values(id=new_id(), created=tx.now, tag=asked.tag, **changed)
    tx.execute(statement.on_conflict_do_update(index_elements=[concurrency_limit.c.tag], set_=changed))
    tx.notify(TOPIC)
    return read_concurrency_limit_by_tag(tx, asked.tag)
