"""What lived in the process of a run that is over is over as well."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock.model.states import State, StateDetails, StateType
from penstock.server.database.connection import Transaction
from penstock.server.database.rows import TERMINAL_TYPES, state_values
from penstock.server.database.slots import free_slots_of
from penstock.server.database.tables import flow_run, task_run, task_run_state
from penstock.server.operations.record_flow_run_state import record_flow_run_state, times_after


def close_children(tx: Transaction, flow_run_id: UUID, state: State) -> int:
    """Give the run's open task runs, and the subflow runs of its process, the type and reason of `state`, all the way down.

    A subflow run belongs to the process if it has no attempt and no queue of its own. Returns how many were closed; asked
    again it closes nothing.
    """
    assert state.type in (StateType.CRASHED, StateType.CANCELLED), state.type
    closed = _close_task_runs(tx, flow_run_id, state)
    for run in _open_subflow_runs(tx, flow_run_id):
        record_flow_run_state(tx, run, _inherited(tx, state, "parent run"))
        closed += 1 + close_children(tx, run.id, state)
    return closed


def _inherited(tx: Transaction, state: State, owner: str, **details: Any) -> State:
    return State(
        type=state.type,
        timestamp=tx.now,
        message=f"The {owner} is {(state.name or state.type.value).lower()}"
        + (f": {state.message}" if state.message else ""),
        state_details=StateDetails(
            phase=state.state_details.phase,
            reason=state.state_details.reason,
            hint=state.state_details.hint,
            attempt_id=state.state_details.attempt_id,
            **details,
        ),
    )


def _close_task_runs(tx: Transaction, flow_run_id: UUID, state: State) -> int:
    is_open = sa.or_(task_run.c.state_type.is_(None), task_run.c.state_type.not_in(TERMINAL_TYPES))
    rows = tx.execute(sa.select(task_run).where(task_run.c.flow_run_id == flow_run_id, is_open)).all()
    if not rows:
        return 0
    states, changes = [], []
    for row in rows:
        child = _inherited(tx, state, "flow run", flow_run_id=flow_run_id, task_run_id=row.id)
        states.append({"task_run_id": row.id, **state_values(child)})
        changes.append(
            {
                "b_id": row.id,
                "state_id": child.id,
                "state_timestamp": child.timestamp,
                "total_run_time": times_after(row, child).get("total_run_time", row.total_run_time),
            }
        )
    tx.execute(sa.insert(task_run_state), states)
    statement = (
        sa.update(task_run)
        .where(task_run.c.id == sa.bindparam("b_id"))
        .values(
            state_id=sa.bindparam("state_id"),
            state_type=state.type.value,
            state_name=state.type.value.capitalize(),
            state_timestamp=sa.bindparam("state_timestamp"),
            total_run_time=sa.bindparam("total_run_time"),
            next_scheduled_start_time=None,
            end_time=tx.now,
            updated=tx.now,
        )
    )
    tx.execute(statement, changes)
    free_slots_of(tx, [row.id for row in rows if row.tags])
    return len(rows)


def _open_subflow_runs(tx: Transaction, flow_run_id: UUID) -> list[sa.Row[Any]]:
    statement = (
        sa.select(flow_run)
        .join(task_run, task_run.c.id == flow_run.c.parent_task_run_id)
        .where(
            task_run.c.flow_run_id == flow_run_id,
            sa.or_(flow_run.c.state_type.is_(None), flow_run.c.state_type.not_in(TERMINAL_TYPES)),
            flow_run.c.attempt_count == 0,
            flow_run.c.work_queue_id.is_(None),
        )
        .order_by(flow_run.c.id)
        .with_for_update(of=flow_run)
    )
    return list(tx.execute(statement).all())
