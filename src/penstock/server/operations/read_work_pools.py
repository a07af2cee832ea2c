from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock.errors import NotFound, did_you_mean
from penstock.model.filters import MAX_LIMIT
from penstock.model.work_filters import WorkPoolCount, WorkPoolList
from penstock.model.work_pools import WorkPool, WorkPoolStatus
from penstock.server.database import tables as t
from penstock.server.database.connection import Transaction
from penstock.server.database.filters import Conditions
from penstock.server.operations.read_work_queues import POLLED_WITHIN


def read_work_pool(tx: Transaction, name: str) -> WorkPool:
    """Raises NotFound with the nearest name."""
    row = tx.execute(_select().where(t.work_pool.c.name == name)).one_or_none()
    if row is None:
        names = tx.execute(sa.select(t.work_pool.c.name)).scalars()
        raise NotFound(f'Work pool "{name}" not found.{did_you_mean(name, names)}')
    return _pool(tx, row)


def read_work_pools(tx: Transaction, asked: WorkPoolList) -> list[WorkPool]:
    """Pools that fit, the oldest first."""
    statement = _select().where(*Conditions(tx.dialect).work_pool(asked.work_pools))
    limit = MAX_LIMIT if asked.limit is None else asked.limit
    ordered = statement.order_by(t.work_pool.c.created, t.work_pool.c.id).offset(asked.offset or 0).limit(limit)
    return [_pool(tx, row) for row in tx.execute(ordered)]


def count_work_pools(tx: Transaction, asked: WorkPoolCount) -> int:
    statement = sa.select(sa.func.count(t.work_pool.c.id)).where(*Conditions(tx.dialect).work_pool(asked.work_pools))
    return int(tx.execute(statement).scalar_one())


def default_queue_of(tx: Transaction, pool_id: UUID) -> UUID | None:
    found: UUID | None = tx.execute(
        sa.select(t.work_pool.c.default_queue_id).where(t.work_pool.c.id == pool_id)
    ).scalar_one_or_none()
    return found


def _select() -> sa.Select[Any]:
    last_polled = (
        sa.select(sa.func.max(t.work_queue.c.last_polled))
        .where(t.work_queue.c.work_pool_id == t.work_pool.c.id)
        .scalar_subquery()
    )
    return sa.select(t.work_pool, last_polled.label("last_polled"))


def _pool(tx: Transaction, row: sa.Row[Any]) -> WorkPool:
    if row.is_paused:
        status = WorkPoolStatus.PAUSED
    elif row.last_polled is not None and tx.now - row.last_polled < timedelta(seconds=POLLED_WITHIN):
        status = WorkPoolStatus.READY
    else:
        status = WorkPoolStatus.NOT_READY
    return WorkPool.model_validate({**row._mapping, "status": status})
