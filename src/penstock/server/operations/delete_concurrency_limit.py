from uuid import UUID

import sqlalchemy as sa

from penstock.server.database.connection import Transaction
from penstock.server.database.slots import TOPIC
from penstock.server.database.tables import concurrency_limit, concurrency_slot
from penstock.server.operations.read_concurrency_limits import read_concurrency_limit, read_concurrency_limit_by_tag


def delete_concurrency_limit(tx: Transaction, limit: UUID | str) -> None:
    """Remove the limit with this id, or on this tag: who waits for it goes on. Raises NotFound."""
    found = read_concurrency_limit(tx, limit) if isinstance(limit, UUID) else read_concurrency_limit_by_tag(tx, limit)
    tx.execute(sa.delete(concurrency_limit).where(concurrency_limit.c.id == found.id))
    tx.execute(sa.delete(concurrency_slot).where(concurrency_slot.c.limit_id == found.id))
    tx.notify(TOPIC)
