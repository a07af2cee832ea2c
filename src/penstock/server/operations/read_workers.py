from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock.model.filters import MAX_LIMIT
from penstock.model.work_pools import DEFAULT_POOL
from penstock.model.workers import Worker, WorkerFilter, WorkerList, WorkerStatus
from penstock.server.database import tables as t
from penstock.server.database.connection import Transaction
from penstock.server.operations.ensure_work_queue import find_pool_id
from penstock.server.operations.record_worker_heartbeat import INTERVALS


def read_workers(tx: Transaction, pool_name: str, asked: WorkerList) -> list[Worker]:
    """Who polls this pool, workers of Prefect 2 and agents, by the last sign of life. Raises NotFound."""
    pool_id = find_pool_id(tx, pool_name)
    given = asked.workers or WorkerFilter()
    in_pool = t.agent.c.work_pool == pool_name
    conditions = [sa.or_(in_pool, t.agent.c.work_pool.is_(None)) if pool_name == DEFAULT_POOL else in_pool]
    if given.last_heartbeat_time is not None and given.last_heartbeat_time.before_ is not None:
        conditions.append(t.agent.c.last_polled <= given.last_heartbeat_time.before_)
    if given.last_heartbeat_time is not None and given.last_heartbeat_time.after_ is not None:
        conditions.append(t.agent.c.last_polled >= given.last_heartbeat_time.after_)
    online = t.agent.c.lease_expires_at > tx.now
    if given.status is not None and given.status.any_ is not None:
        conditions.append(_has_status(online, given.status.any_))
    if given.status is not None and given.status.not_any_ is not None:
        conditions.append(sa.not_(_has_status(online, given.status.not_any_)))
    statement = sa.select(t.agent).where(*conditions).order_by(t.agent.c.last_polled.desc(), t.agent.c.id)
    limit = MAX_LIMIT if asked.limit is None else asked.limit
    return [_worker(tx, pool_id, row) for row in tx.execute(statement.offset(asked.offset or 0).limit(limit))]


def _has_status(online: sa.ColumnElement[bool], statuses: list[WorkerStatus]) -> sa.ColumnElement[bool]:
    return sa.or_(sa.false(), *(online if status is WorkerStatus.ONLINE else sa.not_(online) for status in statuses))


def _worker(tx: Transaction, pool_id: UUID, row: sa.Row[Any]) -> Worker:
    lease = (row.lease_expires_at - row.last_polled).total_seconds()
    return Worker(
        id=row.id,
        created=row.created,
        updated=row.updated,
        name=row.name,
        work_pool_id=pool_id,
        last_heartbeat_time=row.last_polled,
        heartbeat_interval_seconds=max(1, round(lease / INTERVALS)),
        status=WorkerStatus.ONLINE if row.lease_expires_at > tx.now else WorkerStatus.OFFLINE,
    )
