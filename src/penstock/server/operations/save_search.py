import sqlalchemy as sa

from penstock.model.base import new_id
from penstock.model.saved_searches import SavedSearch, SavedSearchCreate
from penstock.server.database.connection import Transaction
from penstock.server.database.inserts import insert_if_absent
from penstock.server.database.tables import saved_search


def save_search(tx: Transaction, asked: SavedSearchCreate) -> tuple[SavedSearch, bool]:
    """The search of that name with these filters, and whether it is new."""
    by_name = saved_search.c.name == asked.name
    filters = [one.model_dump(mode="json") for one in asked.filters]
    values = {"id": new_id(), "created": tx.now, "updated": tx.now, "name": asked.name, "filters": filters}
    is_new = insert_if_absent(tx, saved_search, values)
    if not is_new:
        tx.execute(sa.update(saved_search).where(by_name).values(filters=filters, updated=tx.now))
    row = tx.execute(sa.select(saved_search).where(by_name)).one()
    return SavedSearch(**row._mapping), is_new
