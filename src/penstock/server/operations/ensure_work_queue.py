from uuid import UUID

import sqlalchemy as sa

from penstock.errors import NotFound, did_you_mean
from penstock.model.base import new_id
from penstock.model.work_pools import DEFAULT_POOL
from penstock.model.work_queues import DEFAULT_QUEUE
from penstock.server.database import tables as t
from penstock.server.database.connection import Transaction
from penstock.server.database.inserts import insert_if_absent

_POOL_ID = sa.select(t.work_pool.c.id).where(t.work_pool.c.name == sa.bindparam("name"))


def ensure_work_queue(tx: Transaction, name: str | None, pool_name: str | None = None) -> UUID:
    """The id of that queue, which is made if it is missing; without a name, that of the pool's default queue.

    Raises NotFound, with the nearest name, if there is no such pool.
    """
    pool_id = find_pool_id(tx, pool_name or DEFAULT_POOL)
    queue = t.work_queue
    name = name or DEFAULT_QUEUE
    statement = sa.select(queue.c.id).where(queue.c.work_pool_id == pool_id, queue.c.name == name)
    found: UUID | None = tx.execute(statement).scalar_one_or_none()
    if found is None:
        insert_work_queue(tx, pool_id, name)
        found = tx.execute(statement).scalar_one()
    return found


def find_pool_id(tx: Transaction, name: str) -> UUID:
    """Raises NotFound with the nearest name."""
    found: UUID | None = tx.execute(_POOL_ID, {"name": name}).scalar_one_or_none()
    if found is None:
        names = tx.execute(sa.select(t.work_pool.c.name)).scalars()
        raise NotFound(f'Work pool "{name}" not found.{did_you_mean(name, names)}')
    return found


def insert_work_queue(tx: Transaction, pool_id: UUID, name: str, **values: object) -> bool:
    """Insert a queue, last in priority unless `values` say otherwise. False if the pool has one of that name."""
    queue = t.work_queue
    if values.get("priority") is None:
        last = sa.select(sa.func.coalesce(sa.func.max(queue.c.priority), 0)).where(queue.c.work_pool_id == pool_id)
        values["priority"] = tx.execute(last).scalar_one() + 1
    stamps = {"id": new_id(), "created": tx.now, "updated": tx.now}
    defaults = {"description": "", "is_paused": False, "concurrency_limit": None, "filter": None, "last_polled": None}
    created = insert_if_absent(tx, queue, {**stamps, **defaults, "work_pool_id": pool_id, "name": name, **values})
    if created:
        tx.notify(f"pool:{pool_id}")  # agents may wait for queues of such a name
    return created
