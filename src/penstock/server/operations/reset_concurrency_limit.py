from collections.abc import Sequence
from uuid import UUID

import sqlalchemy as sa

from penstock.model.base import new_id
from penstock.server.database.connection import Transaction
from penstock.server.database.slots import TOPIC, lock_tag_limits
from penstock.server.database.tables import concurrency_slot, task_run
from penstock.server.operations.read_concurrency_limits import read_concurrency_limit_by_tag


def reset_concurrency_limit(tx: Transaction, tag: str, holders: Sequence[UUID] | None = None) -> None:
    """Free all slots of the tag's limit; the task runs `holders` hold them from now on. Raises NotFound."""
    limit = read_concurrency_limit_by_tag(tx, tag)
    lock_tag_limits(tx, [tag])
    tx.execute(sa.delete(concurrency_slot).where(concurrency_slot.c.limit_id == limit.id))
    named = list(dict.fromkeys(holders or ()))
    if named:
        runs = tx.execute(sa.select(task_run.c.id, task_run.c.flow_run_id).where(task_run.c.id.in_(named)))
        run_of = {row.id: row.flow_run_id for row in runs}
        common = {"limit_id": limit.id, "slots": 1, "created": tx.now, "updated": tx.now}
        rows = [{"id": new_id(), "holder_id": i, "flow_run_id": run_of.get(i), **common} for i in named]
        tx.execute(sa.insert(concurrency_slot), rows)
    tx.notify(TOPIC)
