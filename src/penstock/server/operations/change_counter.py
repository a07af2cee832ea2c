"""Counters are kept in the transaction that changes what they count, so that nobody ever has to count rows for a badge."""

from collections.abc import Mapping
from functools import cache

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from penstock.server.database.connection import Transaction
from penstock.server.database.tables import counter


def change_counters(tx: Transaction, changes: Mapping[str, int]) -> None:
    """Add to each named counter. In the order of names, so that two transactions cannot wait for each other."""
    added = [{"name": name, "value": changes[name]} for name in sorted(changes) if changes[name]]
    if added:
        tx.execute(_add(tx.dialect), added)


@cache
def _add(dialect: str) -> sa.Executable:
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    statement = insert(counter)
    return statement.on_conflict_do_update(
        index_elements=[counter.c.name], set_={"value": counter.c.value + statement.excluded.value}
    )


def read_counters(tx: Transaction) -> dict[str, int]:
    """Every counter by name."""
    rows = tx.execute(sa.select(counter.c.name, counter.c.value).order_by(counter.c.name))
    return {row.name: row.value for row in rows}
