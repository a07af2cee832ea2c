from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from penstock.server.database.connection import Transaction
from penstock.server.database.tables import task_run_state_cache


@dataclass(frozen=True)
class CachedState:
    """A completed state that task runs with the cache key `key` may take over, until `expiration`."""

    key: str
    state_id: UUID
    expiration: datetime | None


def remember_cached_states(tx: Transaction, states: Iterable[CachedState]) -> None:
    """From now on each of these is what is found under its key; of several with one key, the last."""
    newest = {state.key: state for state in states}
    if not newest:
        return
    # In order, so that two transactions that write the same keys do not wait for each other.
    rows = [
        {"cache_key": key, "task_run_state_id": state.state_id, "cache_expiration": state.expiration, "created": tx.now}
        for key, state in sorted(newest.items())
    ]
    tx.execute(_upsert(tx.dialect), rows)


@cache
def _upsert(dialect: str) -> sa.Executable:
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    columns = task_run_state_cache.c
    statement = insert(task_run_state_cache).values({column.name: sa.bindparam(column.name) for column in columns})
    changed = {column.name: statement.excluded[column.name] for column in columns if column.name != "cache_key"}
    return statement.on_conflict_do_update(index_elements=[columns.cache_key], set_=changed)
