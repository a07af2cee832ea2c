"""Let a paused flow run go on."""

from uuid import UUID

from penstock.model.states import OrchestrationResult, StateCreate, StateDetails, StateType
from penstock.server.database.connection import Transaction
from penstock.server.database.tables import flow_run_state
from penstock.server.operations.lock_flow_run import lock_flow_run
from penstock.server.operations.read_state import current_state
from penstock.server.operations.set_flow_run_state import set_flow_run_state
from penstock.server.rules.verdicts import abort


def resume_flow_run(
    tx: Transaction, flow_run_id: UUID, *, attempt: tuple[UUID, str] | None = None
) -> tuple[OrchestrationResult, bool]:
    """The answer, and whether a state was written. A run whose process waits goes on; a suspended one is launched again."""
    run = lock_flow_run(tx, flow_run_id)
    current = current_state(tx, flow_run_state, run.state_id)
    if current is None or current.type is not StateType.PAUSED:
        verdict = abort(f"Only a paused run can be resumed; this one is {current.name if current else 'new'}")
        return OrchestrationResult(status=verdict.answer, details=verdict.details()), False
    if current.state_details.pause_reschedule:
        details = StateDetails(scheduled_time=tx.now)
        proposed = StateCreate(type=StateType.SCHEDULED, name="Resuming", state_details=details)
    else:
        proposed = StateCreate(type=StateType.RUNNING)
    return set_flow_run_state(tx, flow_run_id, proposed, attempt=attempt)
