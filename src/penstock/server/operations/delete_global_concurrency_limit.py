import sqlalchemy as sa

from penstock.server.database.connection import Transaction
from penstock.server.database.slots import TOPIC
from penstock.server.database.tables import concurrency_limit_v2, concurrency_slot
from penstock.server.operations.read_global_concurrency_limits import find_global_limit


def delete_global_concurrency_limit(tx: Transaction, id_or_name: str) -> None:
    """Remove the limit: who waits for it goes on. Raises NotFound."""
    row = find_global_limit(tx, id_or_name)
    tx.execute(sa.delete(concurrency_limit_v2).where(concurrency_limit_v2.c.id == row.id))
    tx.execute(sa.delete(concurrency_slot).where(concurrency_slot.c.limit_id == row.id))
    tx.notify(TOPIC)
