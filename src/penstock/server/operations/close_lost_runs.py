"""Runs that somebody's own program executed, and that nobody has spoken for so long that nobody can be left.

Such a run has no attempt, so no platform can be asked about it. Its process reports at least every few seconds while it can
reach the server, and gives up by itself after PENSTOCK_API_LOSS_SECONDS without it; silence beyond that is evidence.
"""

from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from penstock.model.reasons import Phase, Reason
from penstock.model.states import State, StateDetails, StateType
from penstock.model.transitions import SUSPENDED
from penstock.server.database.connection import Transaction
from penstock.server.database.tables import flow_run, report_stream
from penstock.server.database.turns import take_turn
from penstock.server.operations.write_flow_run_state import write_flow_run_state
from penstock.server.rules.reasons import hint

#: Runs that one transaction closes at most.
BATCH = 100


def find_lost_runs(tx: Transaction, silence: float) -> list[sa.Row[Any]]:
    """Runs without attempts whose every stream of reports has been silent for more than `silence` seconds."""
    return list(tx.execute(_lost(tx, silence)))


def close_lost_runs(tx: Transaction, silence: float) -> int:
    """Call them Crashed, with the children that lived in their processes. Returns how many."""
    if not take_turn(tx, "lost runs"):
        return 0
    runs = list(tx.execute(_lost(tx, silence).with_for_update(skip_locked=True, of=flow_run)))
    for run in runs:
        message = f"The program that executed the run has not been heard of for more than {silence:g} s."
        details = StateDetails(flow_run_id=run.id, phase=Phase.RUN, reason=Reason.LOST, hint=hint(Reason.LOST))
        write_flow_run_state(
            tx, run, State(type=StateType.CRASHED, timestamp=tx.now, message=message, state_details=details)
        )
    return len(runs)


def _lost(tx: Transaction, silence: float) -> sa.Select[Any]:
    mine = report_stream.c.flow_run_id == flow_run.c.id
    heard = sa.exists().where(mine, report_stream.c.updated >= tx.now - timedelta(seconds=silence))
    return (
        sa.select(flow_run)
        .where(
            flow_run.c.state_type.in_([StateType.PENDING.value, StateType.RUNNING.value, StateType.PAUSED.value]),
            flow_run.c.state_name != SUSPENDED,
            flow_run.c.end_time.is_(None),
            flow_run.c.attempt_count == 0,
            sa.exists().where(mine),
            ~heard,
        )
        .limit(BATCH)
    )
