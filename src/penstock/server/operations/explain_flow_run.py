"""Gathers what `rules.explain` needs."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock.errors import NotFound
from penstock.model.flow_runs import FlowRun
from penstock.model.states import StateType
from penstock.model.transitions import AWAITING_SLOT
from penstock.server.database.connection import Transaction
from penstock.server.database.rows import SELECT_FLOW_RUN, flow_run_from
from penstock.server.database.tables import attempt, flow_run, task_run, task_run_state
from penstock.server.operations.explain_waiting import MOST_COUNTED, queue_of
from penstock.server.operations.read_attempts import attempt_from
from penstock.server.rules.explain import explain


def explain_flow_run(tx: Transaction, flow_run_id: UUID) -> dict[str, Any]:
    """``{"flow_run_id", "state", "explanation"}``. Raises NotFound."""
    row = tx.execute(SELECT_FLOW_RUN.where(flow_run.c.id == flow_run_id)).one_or_none()
    if row is None:
        raise NotFound(f"There is no flow run {flow_run_id}", hint="List the runs: penstock flow-run ls")
    run = flow_run_from(row, tx.now)
    newest = sa.select(attempt).where(attempt.c.flow_run_id == run.id).order_by(attempt.c.number.desc()).limit(1)
    last = tx.execute(newest).one_or_none()
    queue = queue_of(tx, run) if run.state_type is StateType.SCHEDULED else None
    slots = _waiting_for_slots(tx, run) if run.state_type is StateType.RUNNING else []
    sentence = explain(run, attempt_from(last) if last is not None else None, queue, tx.now, slots)
    return {"flow_run_id": run.id, "state": run.state_name, "explanation": sentence}


def _waiting_for_slots(tx: Transaction, run: FlowRun) -> list[str]:
    waiting = sa.and_(task_run.c.flow_run_id == run.id, task_run.c.state_name == AWAITING_SLOT)
    query = sa.select(task_run_state.c.message).join(task_run, task_run.c.state_id == task_run_state.c.id)
    return [message or "" for message in tx.execute(query.where(waiting).limit(MOST_COUNTED)).scalars()]
