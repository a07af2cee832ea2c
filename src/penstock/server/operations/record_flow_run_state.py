"""Write one state of one flow run, and on the run what follows from it. No rule is asked here."""

from typing import Any

from penstock.model.states import TERMINAL, State, StateType
from penstock.model.transitions import RESUMING
from penstock.server.database.connection import Transaction
from penstock.server.database.rows import state_values
from penstock.server.database.slots import free_slots_of_run
from penstock.server.database.statements import insert_row, update_row
from penstock.server.database.tables import flow_run, flow_run_state
from penstock.server.operations.change_counter import change_counters
from penstock.server.operations.queue_notifications import queue_notifications

#: Counter of the runs that are in a state type.
COUNTER = "flow_runs.state.{}"


def times_after(run: Any, state: State) -> dict[str, Any]:
    """The columns of a run that follow from its entering `state`: counts, times, the state's copies. Pure.

    `run` is the row as it is, of a flow run or a task run. A run that resumes or stays RUNNING is not counted again.
    """
    at, before = state.timestamp, run.state_type
    assert at is not None
    values: dict[str, Any] = {
        "state_id": state.id,
        "state_type": state.type.value,
        "state_name": state.name,
        "state_timestamp": at,
        "next_scheduled_start_time": None,
    }
    if before == StateType.RUNNING and run.state_timestamp is not None:
        values["total_run_time"] = run.total_run_time + max(0.0, (at - run.state_timestamp).total_seconds())
    if state.type is StateType.RUNNING:
        if before not in (StateType.RUNNING, StateType.PAUSED):
            values["run_count"] = run.run_count + 1
        if run.start_time is None:
            values["start_time"] = at
    if state.type is StateType.SCHEDULED:
        values["next_scheduled_start_time"] = state.state_details.scheduled_time or at
    if run.expected_start_time is None:
        values["expected_start_time"] = state.state_details.scheduled_time or at
    if state.type in TERMINAL:
        values["end_time"] = at
    elif run.end_time is not None:
        values["end_time"] = None
    return values


def ends_process(state: State) -> bool:
    """Whether no process runs the run in `state`: what it held is free. Pure."""
    if state.type is StateType.SCHEDULED:
        return state.name != RESUMING  # a paused run goes on where it stands
    if state.type is StateType.PAUSED:
        return state.state_details.pause_reschedule
    return state.type in TERMINAL


def record_flow_run_state(tx: Transaction, run: Any, state: State, values: dict[str, Any] | None = None) -> State:
    """Make `state` the state of `run` (a row of flow_run, locked or ours alone); returns it with its time and ids filled in.

    `values`: further columns of the run to set.
    """
    details = state.state_details.model_copy(update={"flow_run_id": run.id, "task_run_id": None})
    state = state.model_copy(update={"timestamp": state.timestamp or tx.now, "state_details": details})
    insert_row(tx, flow_run_state, {"flow_run_id": run.id, **state_values(state)})
    changed = {**times_after(run, state), "updated": tx.now, **(values or {})}
    update_row(tx, flow_run, run.id, changed)
    if ends_process(state):
        free_slots_of_run(tx, run.id)
    if run.state_type != state.type:
        changes = {COUNTER.format(state.type.value): 1}
        if run.state_type is not None:
            changes[COUNTER.format(run.state_type)] = -1
        change_counters(tx, changes)
    queue_notifications(tx, run, state)
    tx.notify(f"run:{run.id}")
    tx.notify(f"state:{run.id}")
    if state.type is StateType.SCHEDULED and run.work_queue_id is not None:
        tx.notify(f"queue:{run.work_queue_id}")
    return state
