import sqlalchemy as sa

from penstock.model.work_pools import WorkPoolUpdate
from penstock.server.database import tables as t
from penstock.server.database.connection import Transaction
from penstock.server.operations.ensure_work_queue import find_pool_id


def update_work_pool(tx: Transaction, name: str, change: WorkPoolUpdate) -> None:
    """Set the fields that were given, and wake the agents that wait for its queues. Raises NotFound."""
    pool_id = find_pool_id(tx, name)
    values = change.model_dump(exclude_unset=True)
    if values.get("is_paused", False) is None:
        del values["is_paused"]
    if values.get("base_job_template", {}) is None:
        del values["base_job_template"]
    tx.execute(t.work_pool.update().where(t.work_pool.c.id == pool_id).values(**values, updated=tx.now))
    queues = tx.execute(sa.select(t.work_queue.c.id).where(t.work_queue.c.work_pool_id == pool_id)).scalars()
    for queue_id in queues:
        tx.notify(f"queue:{queue_id}")
