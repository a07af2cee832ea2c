"""Let a paused flow run go on."""

import json
from typing import Any
from uuid import UUID

from penstock.errors import NotFound
from penstock.model.base import new_id
from penstock.model.states import (
    Answer,
    AnswerDetails,
    OrchestrationResult,
    State,
    StateCreate,
    StateDetails,
    StateType,
)
from penstock.model.transitions import RESUMING
from penstock.server.database.connection import Transaction, to_json
from penstock.server.database.statements import insert_row
from penstock.server.database.tables import flow_run_input, flow_run_state
from penstock.server.operations.forget_old_response import forget_old_response
from penstock.server.operations.lock_flow_run import lock_flow_run
from penstock.server.operations.proposed_state import was_written
from penstock.server.operations.read_flow_run_inputs import read_flow_run_input
from penstock.server.operations.read_state import current_state
from penstock.server.operations.set_flow_run_state import set_flow_run_state
from penstock.server.rules.flow_runs import is_expired
from penstock.server.rules.parameters import misfit
from penstock.server.rules.verdicts import abort, accept


def resume_flow_run(
    tx: Transaction,
    flow_run_id: UUID,
    run_input: dict[str, Any] | None = None,
    state_id: UUID | None = None,
    *,
    attempt: tuple[UUID, str] | None = None,
) -> tuple[OrchestrationResult, bool]:
    """The answer, and whether a state was written. A run whose process waits goes on; a suspended one is launched again.

    `state_id`: the id of the state that is written; asked again with it, the answer is that it was. `run_input` is
    checked against the schema that the pause has saved, and kept for the run; if it does not fit, the answer is REJECT
    with the details of an abort, and the run stays paused.
    """
    run = lock_flow_run(tx, flow_run_id)
    current = current_state(tx, flow_run_state, run.state_id)
    resumed = _resumed(tx, current, state_id)
    if current is not None and was_written(tx, flow_run_state, flow_run_state.c.flow_run_id, run.id, resumed):
        accepted = accept()
        return OrchestrationResult(state=current, status=accepted.answer, details=accepted.details()), False
    if current is None or current.type is not StateType.PAUSED:
        verdict = abort(f"Only a paused run can be resumed; this one is {current.name if current else 'new'}")
        return OrchestrationResult(status=verdict.answer, details=verdict.details()), False
    keyset = current.state_details.run_input_keyset
    problem = _unfit(tx, flow_run_id, keyset, run_input) if not is_expired(current, tx.now) else None
    if problem is not None:
        details = AnswerDetails(type="abort_details", reason=problem)
        return OrchestrationResult(state=current, status=Answer.REJECT, details=details), False
    result, wrote = set_flow_run_state(tx, flow_run_id, resumed, attempt=attempt)
    if result.status is Answer.ACCEPT and keyset:
        _keep_response(tx, flow_run_id, current, keyset["response"], run_input or {})
    return result, wrote


def _resumed(tx: Transaction, paused: State | None, state_id: UUID | None) -> StateCreate:
    if paused is not None and paused.state_details.pause_reschedule:
        details = StateDetails(scheduled_time=tx.now)
        return StateCreate(id=state_id, type=StateType.SCHEDULED, name=RESUMING, state_details=details)
    return StateCreate(id=state_id, type=StateType.RUNNING)


def _unfit(
    tx: Transaction, flow_run_id: UUID, keyset: dict[str, str] | None, run_input: dict[str, Any] | None
) -> str | None:
    """Why the run cannot be resumed with this input; None if it can."""
    if not keyset:
        return "The run does not wait for any input" if run_input else None
    try:
        schema = json.loads(read_flow_run_input(tx, flow_run_id, keyset["schema"]).value)
    except (NotFound, KeyError, ValueError):
        return "The run waits for input, but has not said of what kind"
    problem = misfit(run_input or {}, schema) if isinstance(schema, dict) else None
    return f"The input does not fit: {problem}" if problem else None


def _keep_response(tx: Transaction, flow_run_id: UUID, paused: State, key: str, run_input: dict[str, Any]) -> None:
    forget_old_response(tx, flow_run_id, paused)
    stamps = {"id": new_id(), "created": tx.now, "updated": tx.now}
    insert_row(tx, flow_run_input, {**stamps, "flow_run_id": flow_run_id, "key": key, "value": to_json(run_input)})
