"""Write one state of one task run, and on the task run what follows from it. No rule is asked here."""

from typing import Any

import sqlalchemy as sa

from penstock.model.states import TERMINAL, State, StateType
from penstock.server.database.connection import Transaction
from penstock.server.database.rows import state_values
from penstock.server.database.slots import free_slots_of
from penstock.server.database.tables import task_run, task_run_state
from penstock.server.operations.record_flow_run_state import times_after


def write_task_run_state(tx: Transaction, run: Any, state: State, values: dict[str, Any] | None = None) -> State:
    """Make `state` the state of `run`, a row of task_run; returns it with its time and ids filled in."""
    details = state.state_details.model_copy(update={"flow_run_id": run.flow_run_id, "task_run_id": run.id})
    state = state.model_copy(update={"timestamp": state.timestamp or tx.now, "state_details": details})
    tx.execute(sa.insert(task_run_state).values(task_run_id=run.id, **state_values(state)))
    changed = {**times_after(run, state), "updated": tx.now, **(values or {})}
    tx.execute(sa.update(task_run).where(task_run.c.id == run.id).values(changed))
    if run.tags and (state.type in TERMINAL or (run.state_type == StateType.RUNNING and not state.is_running())):
        free_slots_of(tx, [run.id])
    return state
