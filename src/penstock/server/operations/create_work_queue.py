from penstock.errors import Conflict
from penstock.model.work_pools import DEFAULT_POOL
from penstock.model.work_queues import WorkQueue, WorkQueueCreate
from penstock.server.database.connection import Transaction
from penstock.server.operations.ensure_work_queue import find_pool_id, insert_work_queue
from penstock.server.operations.read_work_queues import read_work_queue_by_name


def create_work_queue(tx: Transaction, asked: WorkQueueCreate, pool_name: str | None = None) -> WorkQueue:
    """Raises Conflict if the pool has a queue of that name, NotFound if there is no such pool."""
    pool_name = pool_name or DEFAULT_POOL
    values = asked.model_dump(mode="json", exclude={"name"})
    values["description"] = values["description"] or ""
    if not insert_work_queue(tx, find_pool_id(tx, pool_name), asked.name, **values):
        raise Conflict(
            f"The work pool {pool_name!r} has a work queue named {asked.name!r} already.", code="work_queue_exists"
        )
    return read_work_queue_by_name(tx, asked.name, pool_name)
