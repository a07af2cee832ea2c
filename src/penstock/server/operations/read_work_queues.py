from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock.errors import NotFound, did_you_mean
from penstock.model.filters import MAX_LIMIT
from penstock.model.states import StateType
from penstock.model.work_filters import WorkQueueList
from penstock.model.work_pools import DEFAULT_POOL
from penstock.model.work_queues import WorkQueue, WorkQueueHealthPolicy, WorkQueueStatus, WorkQueueStatusDetail
from penstock.server.database import tables as t
from penstock.server.database.connection import Transaction
from penstock.server.database.filters import Conditions
from penstock.server.operations.ensure_work_queue import find_pool_id

#: A queue or pool is READY if somebody has polled it within so many seconds.
POLLED_WITHIN = 60

_SELECT = sa.select(t.work_queue, t.work_pool.c.name.label("work_pool_name")).join(
    t.work_pool, t.work_pool.c.id == t.work_queue.c.work_pool_id
)


def read_work_queue(tx: Transaction, queue_id: UUID) -> WorkQueue:
    """Raises NotFound."""
    row = tx.execute(_SELECT.where(t.work_queue.c.id == queue_id)).one_or_none()
    if row is None:
        raise NotFound(f"Work queue not found: {queue_id}")
    return _queue(tx, row)


def read_work_queue_by_name(tx: Transaction, name: str, pool_name: str | None = None) -> WorkQueue:
    """Raises NotFound with the nearest name, or if there is no such pool."""
    pool_id = find_pool_id(tx, pool_name or DEFAULT_POOL)
    in_pool = t.work_queue.c.work_pool_id == pool_id
    row = tx.execute(_SELECT.where(in_pool, t.work_queue.c.name == name)).one_or_none()
    if row is None:
        names = tx.execute(sa.select(t.work_queue.c.name).where(in_pool)).scalars()
        pool = f" in work pool {pool_name!r}" if pool_name else ""
        raise NotFound(f"Work queue not found: {name!r}{pool}.{did_you_mean(name, names)}")
    return _queue(tx, row)


def read_work_queues(tx: Transaction, asked: WorkQueueList, pool_name: str | None = None) -> list[WorkQueue]:
    """Queues that fit: of one pool by priority, of all pools by name. Raises NotFound if there is no such pool."""
    statement = _SELECT.where(*Conditions(tx.dialect).work_queue(asked.work_queues))
    if pool_name is None:
        statement = statement.order_by(t.work_queue.c.name, t.work_queue.c.id)
    else:
        statement = statement.where(t.work_queue.c.work_pool_id == find_pool_id(tx, pool_name))
        statement = statement.order_by(t.work_queue.c.priority, t.work_queue.c.name)
    limit = MAX_LIMIT if asked.limit is None else asked.limit
    return [_queue(tx, row) for row in tx.execute(statement.offset(asked.offset or 0).limit(limit))]


def read_work_queue_status(tx: Transaction, queue_id: UUID) -> WorkQueueStatusDetail:
    """Healthy: somebody polls it, and no run in it is late. Raises NotFound."""
    queue, policy = read_work_queue(tx, queue_id), WorkQueueHealthPolicy()
    run = t.flow_run.c
    late = int(
        tx.execute(
            sa.select(sa.func.count(run.id)).where(
                run.work_queue_id == queue_id, run.state_type == StateType.SCHEDULED, run.state_name == "Late"
            )
        ).scalar_one()
    )
    few = policy.maximum_late_runs is None or late <= policy.maximum_late_runs
    age = policy.maximum_seconds_since_last_polled
    polled = queue.last_polled is not None and (age is None or tx.now - queue.last_polled < timedelta(seconds=age))
    return WorkQueueStatusDetail(
        healthy=few and polled, late_runs_count=late, last_polled=queue.last_polled, health_check_policy=policy
    )


def _queue(tx: Transaction, row: sa.Row[Any]) -> WorkQueue:
    if row.is_paused:
        status = WorkQueueStatus.PAUSED
    elif row.last_polled is not None and tx.now - row.last_polled < timedelta(seconds=POLLED_WITHIN):
        status = WorkQueueStatus.READY
    else:
        status = WorkQueueStatus.NOT_READY
    return WorkQueue.model_validate({**row._mapping, "status": status})
