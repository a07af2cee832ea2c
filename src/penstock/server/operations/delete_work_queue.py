from collections.abc import Sequence
from uuid import UUID

import sqlalchemy as sa

from penstock.errors import Conflict, Refused
from penstock.model.states import StateType
from penstock.server.database import tables as t
from penstock.server.database.connection import Transaction
from penstock.server.operations.read_work_pools import default_queue_of
from penstock.server.operations.read_work_queues import read_work_queue

#: How many deployments an error names.
NAMED = 3


def delete_work_queue(tx: Transaction, queue_id: UUID) -> None:
    """Raises NotFound; Refused for a pool's default queue; Conflict while deployments name it or runs wait in it."""
    queue = read_work_queue(tx, queue_id)
    assert queue.work_pool_id is not None
    if default_queue_of(tx, queue.work_pool_id) == queue_id:
        raise Refused(f"{queue.name!r} is the default queue of its work pool.", code="default_queue", status=403)
    refuse_if_needed(tx, [queue_id], f"work queue {queue.name!r}")
    tx.execute(t.work_queue.delete().where(t.work_queue.c.id == queue_id))


def refuse_if_needed(tx: Transaction, queue_ids: Sequence[UUID], what: str) -> None:
    """Raise Conflict if something would be stranded without these queues: nobody would ever take its runs."""
    deployment, run = t.deployment.c, t.flow_run.c
    # locked, so that nothing new can refer to them until they are gone
    tx.execute(sa.select(t.work_queue.c.id).where(t.work_queue.c.id.in_(queue_ids)).with_for_update())
    users = tx.execute(
        sa.select(t.flow.c.name + "/" + deployment.name)
        .join(t.flow, t.flow.c.id == deployment.flow_id)
        .where(deployment.work_queue_id.in_(queue_ids))
        .order_by(deployment.name)
        .limit(NAMED + 1)
    ).scalars()
    names = list(users)
    if names:
        more = " and others" if len(names) > NAMED else ""
        raise Conflict(
            f"The {what} is that of deployment {', '.join(names[:NAMED])}{more}.",
            code="work_queue_in_use",
            hint="Give them another queue, or delete them first.",
        )
    waiting = sa.select(sa.func.count(run.id)).where(
        run.work_queue_id.in_(queue_ids), run.state_type == StateType.SCHEDULED
    )
    count = tx.execute(waiting).scalar_one()
    if count:
        raise Conflict(
            f"{count} {'run waits' if count == 1 else 'runs wait'} in {what}, and nobody could take them any more.",
            code="runs_waiting",
            hint="Cancel them, or let an agent take them first.",
        )
