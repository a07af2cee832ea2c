"""Read states of flow runs and task runs."""

from uuid import UUID

import sqlalchemy as sa

from penstock.errors import NotFound
from penstock.model.states import State
from penstock.server.database.connection import Transaction
from penstock.server.database.rows import state_from
from penstock.server.database.statements import read_row
from penstock.server.database.tables import flow_run_state, task_run_state


def current_state(tx: Transaction, table: sa.Table, state_id: UUID | None) -> State | None:
    """The state of that id in flow_run_state or task_run_state, None if there is none."""
    if state_id is None:
        return None
    row = read_row(tx, table, state_id)
    return state_from(row) if row is not None else None


def _read(tx: Transaction, table: sa.Table, state_id: UUID) -> State:
    found = current_state(tx, table, state_id)
    if found is None:
        raise NotFound("State not found", code="state_not_found", hint=f"There is no state {state_id}.")
    return found


def read_flow_run_state(tx: Transaction, state_id: UUID) -> State:
    return _read(tx, flow_run_state, state_id)


def read_task_run_state(tx: Transaction, state_id: UUID) -> State:
    return _read(tx, task_run_state, state_id)


def read_flow_run_states(tx: Transaction, flow_run_id: UUID) -> list[State]:
    """All states that the flow run has been in, oldest first."""
    table = flow_run_state
    rows = tx.execute(
        sa.select(table).where(table.c.flow_run_id == flow_run_id).order_by(table.c.timestamp, table.c.id)
    )
    return [state_from(row) for row in rows]


def read_task_run_states(tx: Transaction, task_run_id: UUID) -> list[State]:
    """All states that the task run has been in, oldest first."""
    table = task_run_state
    rows = tx.execute(
        sa.select(table).where(table.c.task_run_id == task_run_id).order_by(table.c.timestamp, table.c.id)
    )
    return [state_from(row) for row in rows]
