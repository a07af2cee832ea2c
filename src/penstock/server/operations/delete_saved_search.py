from uuid import UUID

import sqlalchemy as sa

from penstock.server.database.connection import Transaction
from penstock.server.database.tables import saved_search
from penstock.server.operations.read_saved_searches import no_saved_search


def delete_saved_search(tx: Transaction, search_id: UUID) -> None:
    """Raises NotFound."""
    if tx.execute(sa.delete(saved_search).where(saved_search.c.id == search_id)).rowcount == 0:
        raise no_saved_search(search_id)
