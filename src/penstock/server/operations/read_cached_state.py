from functools import cache
from typing import Any

import sqlalchemy as sa

from penstock.model.states import State
from penstock.server.database.connection import Transaction
from penstock.server.database.rows import state_from
from penstock.server.database.tables import task_run_state, task_run_state_cache


def read_cached_state(tx: Transaction, cache_key: str) -> State | None:
    """The completed state of the last task run with that cache key, None if there is none that is still valid."""
    row = tx.execute(_statement(), {"key": cache_key, "now": tx.now}).one_or_none()
    return state_from(row) if row is not None else None


@cache
def _statement() -> sa.Select[Any]:
    entry = task_run_state_cache
    valid = sa.or_(entry.c.cache_expiration.is_(None), entry.c.cache_expiration > sa.bindparam("now"))
    join = task_run_state.join(entry, entry.c.task_run_state_id == task_run_state.c.id)
    return sa.select(task_run_state).select_from(join).where(entry.c.cache_key == sa.bindparam("key"), valid)
