import sqlalchemy as sa

from penstock.errors import Refused
from penstock.model.work_pools import DEFAULT_POOL
from penstock.server.database import tables as t
from penstock.server.database.connection import Transaction
from penstock.server.operations.delete_work_queue import refuse_if_needed
from penstock.server.operations.ensure_work_queue import find_pool_id


def delete_work_pool(tx: Transaction, name: str) -> None:
    """Delete the pool with its queues.

    Raises NotFound; Refused for the pool that everything without a pool belongs to; Conflict while
    deployments belong to it or runs wait in it.
    """
    pool_id = find_pool_id(tx, name)
    if name == DEFAULT_POOL:
        raise Refused(
            f"{DEFAULT_POOL} cannot be deleted: queues that are named without a pool belong to it.",
            code="default_pool",
            status=403,
        )
    queues = tx.execute(sa.select(t.work_queue.c.id).where(t.work_queue.c.work_pool_id == pool_id)).scalars()
    refuse_if_needed(tx, list(queues), f"work pool {name!r}")
    tx.execute(t.work_pool.delete().where(t.work_pool.c.id == pool_id))
