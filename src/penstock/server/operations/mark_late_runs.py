"""Runs that should have started and have not are called Late."""

from datetime import timedelta

import sqlalchemy as sa

from penstock.model.states import State, StateDetails, StateType
from penstock.server.database.attempts import has_open_attempt
from penstock.server.database.connection import Transaction
from penstock.server.database.tables import flow_run
from penstock.server.database.turns import take_turn
from penstock.server.operations.record_flow_run_state import record_flow_run_state

BATCH = 200


def late_runs(seconds: float, tx: Transaction) -> sa.Select[tuple[object, ...]]:
    """The runs that are plainly Scheduled and `seconds` past their time, the longest overdue first."""
    return (
        sa.select(flow_run)
        # only scheduled runs have such a time; a condition on the type would lead past the index that holds it
        .where(flow_run.c.next_scheduled_start_time <= tx.now - timedelta(seconds=seconds))
        .where(flow_run.c.state_name == "Scheduled", ~has_open_attempt())
        .order_by(flow_run.c.next_scheduled_start_time)
        .limit(BATCH)
    )


def has_late_runs(tx: Transaction, seconds: float) -> bool:
    return tx.execute(late_runs(seconds, tx).with_only_columns(flow_run.c.id).limit(1)).first() is not None


def mark_late_runs(tx: Transaction, seconds: float) -> int:
    """Mark one batch; returns how many were marked. Their type and time stay, so they are still due."""
    if not take_turn(tx, "late runs"):
        return 0
    rows = tx.execute(late_runs(seconds, tx).with_for_update(skip_locked=True, of=flow_run)).all()
    for run in rows:
        details = StateDetails(scheduled_time=run.next_scheduled_start_time)
        state = State(type=StateType.SCHEDULED, name="Late", timestamp=tx.now, state_details=details)
        record_flow_run_state(tx, run, state)
    return len(rows)
