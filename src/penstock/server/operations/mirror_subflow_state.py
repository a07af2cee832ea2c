"""A subflow run has a task run that stands for it in its parent."""

from uuid import UUID

import sqlalchemy as sa

from penstock.model.states import State, StateType
from penstock.model.transitions import is_allowed
from penstock.server.database.connection import Transaction
from penstock.server.database.tables import task_run
from penstock.server.operations.write_task_run_state import write_task_run_state


def mirror_subflow_state(tx: Transaction, parent_task_run_id: UUID, child: State) -> None:
    """Give the task run that stands for a subflow run the state of that run, where the table of transitions allows it.

    For clients that leave this to the server; Penstock's own engine reports that task run itself.
    """
    row = tx.execute(sa.select(task_run).where(task_run.c.id == parent_task_run_id).with_for_update()).one_or_none()
    if row is None or (row.state_type, row.state_name) == (child.type, child.name):
        return
    before = StateType(row.state_type) if row.state_type is not None else None
    if is_allowed(before, child.type, child.name):
        details = child.state_details.model_copy(
            update={"child_flow_run_id": child.state_details.flow_run_id, "transition_id": None}
        )
        state = State(
            type=child.type, name=child.name, message=child.message, timestamp=child.timestamp, state_details=details
        )
        write_task_run_state(tx, row, state)
