"""Write a state that is already decided, with everything that belongs to it in the same transaction."""

from typing import Any

from penstock.model.states import State, StateType
from penstock.server.database.connection import Transaction
from penstock.server.operations.close_children import close_children
from penstock.server.operations.mirror_subflow_state import mirror_subflow_state
from penstock.server.operations.record_flow_run_state import record_flow_run_state


def write_flow_run_state(tx: Transaction, run: Any, state: State, values: dict[str, Any] | None = None) -> State:
    """Make `state` the state of `run`, a locked row of flow_run; returns it with its time and ids filled in.

    No rule is asked: callers have decided. A run that becomes Crashed or Cancelled takes along what lived in its process.
    `values`: further columns of the run to set in the same statement.
    """
    written = record_flow_run_state(tx, run, state, values)
    if run.parent_task_run_id is not None and run.work_queue_id is not None:
        # a run of a deployment that another run asked for: nobody else tells the task run that stands for it there
        mirror_subflow_state(tx, run.parent_task_run_id, written)
    if written.type in (StateType.CRASHED, StateType.CANCELLED):
        close_children(tx, run.id, written)
    return written
