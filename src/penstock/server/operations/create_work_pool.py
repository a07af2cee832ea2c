import sqlalchemy as sa

from penstock.errors import Conflict, Refused
from penstock.model.base import new_id
from penstock.model.work_pools import WorkPool, WorkPoolCreate
from penstock.model.work_queues import DEFAULT_QUEUE
from penstock.server.database import tables as t
from penstock.server.database.connection import Transaction
from penstock.server.database.inserts import insert_if_absent
from penstock.server.operations.ensure_work_queue import insert_work_queue
from penstock.server.operations.read_work_pools import read_work_pool

#: Names that begin like this, in any case, are kept for the system's own pools.
RESERVED_PREFIX = "prefect"


def create_work_pool(tx: Transaction, asked: WorkPoolCreate) -> WorkPool:
    """The new pool with its default queue. Raises Conflict if the name is taken, Refused if it is reserved."""
    if asked.name.lower().startswith(RESERVED_PREFIX):
        raise Refused(
            f"Names of work pools that begin with {RESERVED_PREFIX!r} are reserved.", code="reserved_name", status=403
        )
    pool_id = new_id()
    values = {"id": pool_id, "created": tx.now, "updated": tx.now, **asked.model_dump()}
    if not insert_if_absent(tx, t.work_pool, values):
        raise Conflict(f"A work pool named {asked.name!r} exists already.", code="work_pool_exists")
    insert_work_queue(tx, pool_id, DEFAULT_QUEUE, description="The queue of deployments that name none.")
    default = sa.select(t.work_queue.c.id).where(t.work_queue.c.work_pool_id == pool_id).scalar_subquery()
    tx.execute(t.work_pool.update().where(t.work_pool.c.id == pool_id).values(default_queue_id=default))
    return read_work_pool(tx, asked.name)
