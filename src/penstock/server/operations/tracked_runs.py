from collections.abc import Iterator
from uuid import UUID

import sqlalchemy as sa

from penstock.server.database.connection import Transaction
from penstock.server.database.rows import TERMINAL_TYPES
from penstock.server.database.tables import flow_run, task_run

_OPEN_CHILDREN = (
    sa.select(flow_run.c.id, flow_run.c.work_queue_id)
    .join(task_run, task_run.c.id == flow_run.c.parent_task_run_id)
    .where(
        task_run.c.flow_run_id == sa.bindparam("flow_run_id"),
        sa.or_(flow_run.c.state_type.is_(None), flow_run.c.state_type.not_in(TERMINAL_TYPES)),
    )
    .order_by(flow_run.c.id)
)


def tracked_runs(tx: Transaction, flow_run_id: UUID) -> Iterator[UUID]:
    """Runs of deployments that the run, or a subflow run within its process, asked for, and that are not over."""
    for row in tx.execute(_OPEN_CHILDREN, {"flow_run_id": flow_run_id}).all():
        if row.work_queue_id is not None:
            yield row.id
        else:
            yield from tracked_runs(tx, row.id)
