"""The end of an attempt and, in the same transaction, what that means for its run."""

import logging
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from penstock import settings
from penstock.model.attempts import AttemptStatus, Exit
from penstock.model.logs import LogCreate
from penstock.model.reasons import Reason
from penstock.model.states import TERMINAL, State, StateDetails, StateType
from penstock.model.transitions import RERUN_NAME
from penstock.server.database.connection import Transaction
from penstock.server.database.rows import clean
from penstock.server.database.statements import update_row
from penstock.server.database.tables import attempt, flow_run_state
from penstock.server.operations.create_logs import create_logs
from penstock.server.operations.slot_topics import tell_slot_free
from penstock.server.operations.write_flow_run_state import write_flow_run_state
from penstock.server.rules.attempts import Ending, RetryBudget, RunFacts, Verdict, as_sentence, verdict

#: The logger of the lines that a run's log gets from here.
LOGGER = "penstock.attempts"
_LEVELS = {StateType.CRASHED: logging.ERROR, StateType.CANCELLED: logging.INFO}
_LAST_STATE = sa.select(flow_run_state.c.message, flow_run_state.c.state_details).where(
    flow_run_state.c.id == sa.bindparam("state_id")
)


def end_attempt(
    tx: Transaction, run: sa.Row[Any], row: sa.Row[Any], ending: Ending, *, exited: Exit | None = None
) -> Verdict:
    """End the open attempt `row` of `run` (both locked) and write the verdict on the run. Its slot is free after that.

    If the run is over already, the attempt only learns how, from the run's own last state.
    """
    state = _last_state(tx, run)
    run_state = StateType(run.state_type or StateType.PENDING)
    facts = RunFacts(
        id=run.id,
        state_type=run_state,
        infra_failures=run.infra_failures,
        pause_reschedule=bool(state and state.state_details.get("pause_reschedule")),
        agent_losses=_agent_losses(tx, run) if ending.reason is Reason.AGENT_LOST else 0,
    )
    outcome = verdict(ending, facts, started=row.running_at is not None, budget=retry_budget(), number=row.number)
    by_run = run_state in TERMINAL or (run_state is StateType.PAUSED and facts.pause_reschedule)
    values = _from_state(state) if by_run and state else _from_ending(ending)
    if exited is not None:
        values["exit"] = exited.model_dump(mode="json", exclude_none=True)
    values |= {"status": AttemptStatus.ENDED.value, "ended_at": tx.now, "updated": tx.now, "waiting_for": None}
    update_row(tx, attempt, row.id, values)
    _write_verdict(tx, run, row, ending, outcome)
    tell_slot_free(tx, run, row)
    tx.notify(f"run:{run.id}")
    return outcome


def retry_budget() -> RetryBudget:
    return RetryBudget(
        retries=settings.get("PENSTOCK_INFRA_RETRIES"), delay=settings.get("PENSTOCK_INFRA_RETRY_DELAY_SECONDS")
    )


def _last_state(tx: Transaction, run: sa.Row[Any]) -> sa.Row[Any] | None:
    return tx.execute(_LAST_STATE, {"state_id": run.state_id}).one_or_none()


def _agent_losses(tx: Transaction, run: sa.Row[Any]) -> int:
    """How often the run lost its agent before anything was started, this time included."""
    lost = sa.select(sa.func.count()).where(
        attempt.c.flow_run_id == run.id, attempt.c.reason == Reason.AGENT_LOST.value
    )
    return int(tx.execute(lost).scalar_one()) + 1


def _from_state(state: sa.Row[Any]) -> dict[str, Any]:
    details = state.state_details
    values = {key: details.get(key) for key in ("phase", "reason", "hint")}
    return values | {"message": state.message if values["reason"] else None}


def _from_ending(ending: Ending) -> dict[str, Any]:
    return {
        "phase": ending.phase.value,
        "reason": ending.reason.value,
        "message": clean(ending.message),
        "hint": ending.advice,
    }


def _write_verdict(tx: Transaction, run: sa.Row[Any], row: sa.Row[Any], ending: Ending, outcome: Verdict) -> None:
    if outcome.state_type is None:
        return
    details = StateDetails(
        flow_run_id=run.id, attempt_id=row.id, phase=ending.phase, reason=ending.reason, hint=ending.advice
    )
    name = None
    if outcome.action == "reschedule":
        details.scheduled_time = tx.now + timedelta(seconds=outcome.delay)
        name = RERUN_NAME if outcome.spends else None
    state = State(type=outcome.state_type, name=name, message=outcome.message, timestamp=tx.now, state_details=details)
    values = {"infra_failures": run.infra_failures + 1} if outcome.spends else None
    write_flow_run_state(tx, run, state, values)
    _write_log(tx, run, row, ending, outcome)


def _write_log(tx: Transaction, run: sa.Row[Any], row: sa.Row[Any], ending: Ending, outcome: Verdict) -> None:
    """What became of the attempt, into the log of its run: that is where people look first."""
    text = f"Attempt {row.number} ended ({ending.reason}, in phase {ending.phase}): {outcome.message or ending.message}"
    if outcome.state_type is StateType.CRASHED:
        text = f"{as_sentence(text)} {ending.advice}"
    level = _LEVELS.get(outcome.state_type or StateType.SCHEDULED, logging.WARNING)
    create_logs(tx, [LogCreate(name=LOGGER, level=level, message=text, timestamp=tx.now)], run.id)
