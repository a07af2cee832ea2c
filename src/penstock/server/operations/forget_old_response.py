from uuid import UUID

import sqlalchemy as sa

from penstock.model.states import State, StateType
from penstock.server.database.connection import Transaction
from penstock.server.database.tables import flow_run_input


def forget_old_response(tx: Transaction, flow_run_id: UUID, state: State) -> None:
    """A pause that waits for input has just begun: what an earlier go of the run was answered under its key is no answer."""
    keyset = state.state_details.run_input_keyset
    if state.type is StateType.PAUSED and keyset and "response" in keyset:
        c = flow_run_input.c
        tx.execute(sa.delete(flow_run_input).where(c.flow_run_id == flow_run_id, c.key == keyset["response"]))
