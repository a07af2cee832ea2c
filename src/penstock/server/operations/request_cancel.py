"""What a wish to cancel means for what may exist on a platform."""

from typing import Any, Literal

import sqlalchemy as sa

from penstock.model.attempts import AttemptStatus
from penstock.model.reasons import Reason
from penstock.model.states import StateType
from penstock.model.transitions import SUSPENDED
from penstock.server.database.connection import Transaction
from penstock.server.database.tables import attempt


def request_cancel(tx: Transaction, flow_run: sa.Row[Any]) -> Literal["cancelled", "cancelling"]:
    """Order the run's open attempt to stop; tell which state the run may have now.

    "cancelled": nothing of it can exist on any platform (an attempt that was only claimed is fenced here).
    "cancelling": a job may exist, its agent has the order, and the run becomes Cancelled once the job is confirmed
    gone. A run
    that executes without any attempt is "cancelling" as well: its process learns of it by itself.
    """
    row = tx.execute(
        sa.select(attempt.c.id, attempt.c.status, attempt.c.agent_id, attempt.c.cancel_requested_at)
        .where(attempt.c.flow_run_id == flow_run.id, attempt.c.ended_at.is_(None))
        .order_by(attempt.c.number.desc())
        .limit(1)
        .with_for_update()
    ).one_or_none()
    if row is None:
        return "cancelling" if _has_process(flow_run) else "cancelled"
    if row.status == AttemptStatus.CLAIMED:
        values: dict[str, Any] = {
            "status": AttemptStatus.ENDED.value,
            "ended_at": tx.now,
            "reason": Reason.CANCELLED.value,
            "message": "Cancelled before anything was started.",
        }
        answer: Literal["cancelled", "cancelling"] = "cancelled"
    else:
        values = {"stop_reason": Reason.CANCELLED.value}
        if row.cancel_requested_at is None:
            values["cancel_requested_at"] = tx.now
        answer = "cancelling"
    tx.execute(sa.update(attempt).where(attempt.c.id == row.id).values(updated=tx.now, **values))
    if row.agent_id is not None:
        tx.notify(f"attempt-agent:{row.agent_id}")
    return answer


def _has_process(flow_run: sa.Row[Any]) -> bool:
    """Whether a program of somebody's own executes this run, which has no attempt. A suspended run has no process."""
    paused = flow_run.state_type == StateType.PAUSED and flow_run.state_name != SUSPENDED
    return bool(paused or flow_run.state_type == StateType.RUNNING)
