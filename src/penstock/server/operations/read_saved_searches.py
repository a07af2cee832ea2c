from uuid import UUID

import sqlalchemy as sa

from penstock.errors import NotFound
from penstock.model.filters import MAX_LIMIT
from penstock.model.saved_searches import SavedSearch, SavedSearchQuery
from penstock.server.database.connection import Transaction
from penstock.server.database.statements import read_row
from penstock.server.database.tables import saved_search


def read_saved_search(tx: Transaction, search_id: UUID) -> SavedSearch:
    """Raises NotFound."""
    row = read_row(tx, saved_search, search_id)
    if row is None:
        raise no_saved_search(search_id)
    return SavedSearch(**row._mapping)


def read_saved_searches(tx: Transaction, query: SavedSearchQuery) -> list[SavedSearch]:
    """Searches by name."""
    limit = MAX_LIMIT if query.limit is None else query.limit
    statement = sa.select(saved_search).order_by(saved_search.c.name).offset(query.offset or 0).limit(limit)
    return [SavedSearch(**row._mapping) for row in tx.execute(statement)]


def no_saved_search(search_id: UUID) -> NotFound:
    return NotFound("Saved search not found", code="saved_search_not_found", hint=f"There is no {search_id}.")
