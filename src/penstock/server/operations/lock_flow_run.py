"""Take a flow run for this transaction: the first lock of every operation that changes one."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock.errors import NotFound
from penstock.server.database.connection import Transaction
from penstock.server.database.statements import lock_row
from penstock.server.database.tables import attempt, flow_run

_LOCK_OPEN_ATTEMPT = (
    sa.select(attempt)
    .where(attempt.c.flow_run_id == sa.bindparam("flow_run_id"), attempt.c.ended_at.is_(None))
    .order_by(attempt.c.number.desc())
    .limit(1)
    .with_for_update()
)


def no_flow_run(flow_run_id: UUID) -> NotFound:
    return NotFound("Flow run not found", code="flow_run_not_found", hint=f"There is no flow run {flow_run_id}.")


def lock_flow_run(tx: Transaction, flow_run_id: UUID) -> sa.Row[Any]:
    """The row of the flow run, locked until the end of the transaction. Raises NotFound."""
    row = lock_row(tx, flow_run, flow_run_id)
    if row is None:
        raise no_flow_run(flow_run_id)
    return row


def lock_open_attempt(tx: Transaction, flow_run_id: UUID) -> sa.Row[Any] | None:
    """The run's attempt that is not over, locked; a run has one at most."""
    return tx.execute(_LOCK_OPEN_ATTEMPT, {"flow_run_id": flow_run_id}).one_or_none()
