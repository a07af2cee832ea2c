"""Inserts that ask nobody first: two requests at once cannot both believe that a name is free."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from penstock.server.database.connection import Transaction


def insert_if_absent(tx: Transaction, table: sa.Table, values: dict[str, Any]) -> bool:
    """Insert one row, unless one with the same unique columns exists. Whether it was inserted."""
    insert = postgresql.insert if tx.dialect == "postgresql" else sqlite.insert
    return tx.execute(insert(table).values(values).on_conflict_do_nothing()).rowcount == 1
