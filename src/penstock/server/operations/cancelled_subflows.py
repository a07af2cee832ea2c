"""Which subflow runs inside of a run somebody wants to stop, while the run itself goes on."""

from uuid import UUID

import sqlalchemy as sa

from penstock.model.states import StateType
from penstock.server.database.connection import Transaction
from penstock.server.database.tables import flow_run, task_run

#: All that are being cancelled at this time, whoever runs them: few, and seldom any.
_CANCELLING = (
    sa.select(flow_run.c.id, flow_run.c.parent_task_run_id)
    .where(flow_run.c.state_type == StateType.CANCELLING.value, flow_run.c.parent_task_run_id.is_not(None))
    .limit(200)
)
_PARENT = (
    sa.select(flow_run.c.id, flow_run.c.parent_task_run_id)
    .join(task_run, task_run.c.flow_run_id == flow_run.c.id)
    .where(task_run.c.id == sa.bindparam("task_run_id"))
)


def cancelled_subflows(tx: Transaction, flow_run_id: UUID) -> list[UUID]:
    """Those that run in the process of the flow run, at any depth."""
    return [row.id for row in tx.execute(_CANCELLING).all() if _is_inside(tx, row.parent_task_run_id, flow_run_id)]


def _is_inside(tx: Transaction, task_run_id: UUID | None, flow_run_id: UUID) -> bool:
    while task_run_id is not None:
        parent = tx.execute(_PARENT, {"task_run_id": task_run_id}).one_or_none()
        if parent is None:
            return False
        if parent.id == flow_run_id:
            return True
        task_run_id = parent.parent_task_run_id
    return False
