from collections.abc import Sequence
from uuid import UUID

import sqlalchemy as sa

from penstock.errors import Conflict, Refused
from penstock.model.states import StateType
from penstock.server.database import tables as t
from penstock.server.database.connection import Transaction
from penstock.server.operations.delete_scheduled_runs import delete_scheduled_runs
from penstock.server.operations.read_work_pools import default_queue_of
from penstock.server.operations.read_work_queues import read_work_queue


def delete_work_queue(tx: Transaction, queue_id: UUID) -> None:
    """Delete a queue. A deployment that names it makes it anew with its next run.

    Raises NotFound; Refused for a pool's default queue; Conflict while runs that somebody asked for wait in it.
    """
    queue = read_work_queue(tx, queue_id)
    assert queue.work_pool_id is not None
    if default_queue_of(tx, queue.work_pool_id) == queue_id:
        raise Refused(f"{queue.name!r} is the default queue of its work pool.", code="default_queue", status=403)
    clear_work_queues(tx, [queue_id], f"work queue {queue.name!r}")
    tx.execute(t.work_queue.delete().where(t.work_queue.c.id == queue_id))


def clear_work_queues(tx: Transaction, queue_ids: Sequence[UUID], what: str) -> None:
    """Remove runs that a schedule planned: it plans them again. Raises Conflict if others wait there."""
    run = t.flow_run.c
    waiting = [run.work_queue_id.in_(queue_ids), run.state_type == StateType.SCHEDULED]
    asked_for = sa.select(sa.func.count(run.id)).where(*waiting, run.auto_scheduled.is_(False))
    count = tx.execute(asked_for).scalar_one()
    if count:
        raise Conflict(
            f"{count} {'run waits' if count == 1 else 'runs wait'} in {what}, and nobody could take them any more.",
            code="runs_waiting",
            hint="Cancel them, or let an agent take them first.",
        )
    delete_scheduled_runs(tx, sa.and_(*waiting, run.auto_scheduled.is_(True)))
