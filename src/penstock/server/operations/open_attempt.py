"""One due run becomes one attempt of one agent."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock.model.attempts import AgentPoll, AttemptStatus, Limits
from penstock.model.base import new_id
from penstock.model.states import State, StateDetails, StateType
from penstock.server.database.connection import Transaction
from penstock.server.database.statements import insert_and_read
from penstock.server.database.tables import attempt
from penstock.server.operations.write_flow_run_state import write_flow_run_state


def open_attempt(
    tx: Transaction, run: sa.Row[Any], pool_id: UUID, poll: AgentPoll, lease_end: datetime, limits: Limits
) -> sa.Row[Any]:
    """Take the scheduled `run`, a locked row, to PENDING for the polling agent. Returns the row of its new attempt."""
    number = run.attempt_count + 1
    attempt_id = new_id()
    values = {
        "id": attempt_id,
        "created": tx.now,
        "updated": tx.now,
        "flow_run_id": run.id,
        "number": number,
        "status": AttemptStatus.CLAIMED.value,
        "agent_id": poll.agent_id,
        "agent_name": poll.name,
        "request_id": poll.request_id,
        "work_queue_id": run.work_queue_id,
        "work_pool_id": pool_id,
        "deployment_id": run.deployment_id,
        "limits": limits.model_dump(mode="json"),
        "claimed_at": tx.now,
        "lease_expires_at": lease_end,
    }
    row = insert_and_read(tx, attempt, values)
    # A run that was taken early still begins when it is due: whoever proposes Running is told to wait until then.
    due = run.next_scheduled_start_time
    details = StateDetails(flow_run_id=run.id, attempt_id=attempt_id, scheduled_time=due)
    state = State(type=StateType.PENDING, timestamp=tx.now, state_details=details)
    write_flow_run_state(tx, run, state, {"attempt_count": number})
    return row
