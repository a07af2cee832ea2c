from uuid import UUID

import sqlalchemy as sa

from penstock.errors import Conflict
from penstock.model.work_queues import WorkQueueUpdate
from penstock.server.database import tables as t
from penstock.server.database.connection import Transaction
from penstock.server.operations.read_work_queues import read_work_queue

#: Columns that cannot be cleared: null leaves them as they are.
_NEVER_NULL = ("name", "is_paused", "priority")


def update_work_queue(tx: Transaction, queue_id: UUID, change: WorkQueueUpdate) -> None:
    """Set the fields that were given, and wake the agents that wait for the queue.

    Deployments and runs go on with it under its new name. Raises NotFound, or Conflict if the new name is taken.
    """
    queue = read_work_queue(tx, queue_id)
    values = change.model_dump(exclude_unset=True)
    values = {key: value for key, value in values.items() if value is not None or key not in _NEVER_NULL}
    if change.filter is not None:
        values["filter"] = change.filter.model_dump(mode="json")
    name = values.get("name", queue.name)
    if name != queue.name:
        _rename(tx, queue_id, queue.work_pool_id, name)
    tx.execute(t.work_queue.update().where(t.work_queue.c.id == queue_id).values(**values, updated=tx.now))
    tx.notify(f"queue:{queue_id}")


def _rename(tx: Transaction, queue_id: UUID, pool_id: UUID | None, name: str) -> None:
    column = t.work_queue.c
    taken = tx.execute(sa.select(column.id).where(column.work_pool_id == pool_id, column.name == name)).one_or_none()
    if taken is not None:
        raise Conflict(f"The work pool has a work queue named {name!r} already.", code="work_queue_exists")
    for table in (t.deployment, t.flow_run):
        tx.execute(table.update().where(table.c.work_queue_id == queue_id).values(work_queue_name=name))
