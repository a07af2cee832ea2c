"""Paused and suspended runs that nobody has resumed in time have failed: judged here, whether a process is left or not."""

from datetime import UTC, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock.model.states import StateCreate, StateType
from penstock.server.database.connection import Transaction
from penstock.server.database.tables import flow_run, flow_run_state
from penstock.server.database.turns import take_turn
from penstock.server.operations.close_children import close_children
from penstock.server.operations.lock_flow_run import lock_flow_run
from penstock.server.operations.read_state import current_state
from penstock.server.operations.set_flow_run_state import set_flow_run_state
from penstock.server.rules.flow_runs import is_expired

#: Runs that one transaction fails at most.
BATCH = 100


def find_expired_pauses(tx: Transaction) -> list[UUID]:
    """Runs whose pause is over its timeout, read only. A few may be found a second too early: `expire_pause` looks."""
    timeout = flow_run_state.c.state_details["pause_timeout"].as_string()
    # times are written as ISO 8601 in UTC, whose order is that of the text but for the fraction of the second
    latest = (tx.now.astimezone(UTC) + timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%S")
    query: sa.Select[Any] = (
        sa.select(flow_run.c.id)
        .join(flow_run_state, flow_run_state.c.id == flow_run.c.state_id)
        .where(flow_run.c.state_type == StateType.PAUSED.value, flow_run.c.end_time.is_(None), timeout < latest)
        .limit(BATCH)
    )
    return list(tx.execute(query).scalars())


def expire_pauses(tx: Transaction, flow_run_ids: list[UUID]) -> int:
    """Fail those of these runs that are still paused and over their time. Returns how many."""
    if not take_turn(tx, "pauses"):
        return 0
    return sum(expire_pause(tx, flow_run_id) for flow_run_id in sorted(flow_run_ids))


def expire_pause(tx: Transaction, flow_run_id: UUID) -> bool:
    """Fail the run if it is paused and over its time. Raises NotFound."""
    run = lock_flow_run(tx, flow_run_id)
    current = current_state(tx, flow_run_state, run.state_id)
    if current is None or current.type is not StateType.PAUSED or not is_expired(current, tx.now):
        return False
    # a paused run that is over its time is answered with its failure, whoever wants to resume it
    answer, _ = set_flow_run_state(tx, flow_run_id, StateCreate(type=StateType.RUNNING))
    if current.state_details.pause_reschedule and answer.state is not None:
        # its process has left; what that had not begun will not be begun
        close_children(tx, flow_run_id, answer.state.model_copy(update={"type": StateType.CANCELLED}))
    return True
