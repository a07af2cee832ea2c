"""Propose a state for a flow run: ask the rules, write what they say."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock.model.attempts import AttemptStatus
from penstock.model.flow_runs import FlowRunPolicy
from penstock.model.reasons import INFRASTRUCTURE_RETRIABLE, Reason
from penstock.model.states import TERMINAL, Answer, OrchestrationResult, State, StateCreate, StateType
from penstock.server.database.connection import Transaction
from penstock.server.database.statements import update_row
from penstock.server.database.tables import attempt as attempt_table
from penstock.server.database.tables import flow_run_state
from penstock.server.operations.check_attempt_credential import check_attempt_credential, check_attempt_token
from penstock.server.operations.forget_old_response import forget_old_response
from penstock.server.operations.lock_flow_run import lock_flow_run, lock_open_attempt
from penstock.server.operations.mirror_subflow_state import mirror_subflow_state
from penstock.server.operations.proposed_state import state_of, was_written
from penstock.server.operations.read_state import current_state
from penstock.server.operations.request_cancel import request_cancel
from penstock.server.operations.slot_topics import tell_slot_free
from penstock.server.operations.tracked_runs import tracked_runs
from penstock.server.operations.write_flow_run_state import write_flow_run_state
from penstock.server.rules import verdicts
from penstock.server.rules.flow_runs import FlowRunFacts, decide
from penstock.server.rules.verdicts import Verdict


def set_flow_run_state(
    tx: Transaction,
    flow_run_id: UUID,
    proposed: StateCreate,
    *,
    force: bool = False,
    attempt: tuple[UUID, str] | None = None,
    mirror: bool = False,
) -> tuple[OrchestrationResult, bool]:
    """The answer to the proposal, and whether a state was written. `mirror`: the task run that stands for it follows.

    `attempt`: id and token of the attempt whose engine proposes it. Raises NotFound, and Refused ``attempt_superseded`` if that
    attempt is over.
    """
    run = lock_flow_run(tx, flow_run_id)
    job = lock_open_attempt(tx, flow_run_id)
    own = attempt is not None and _speaks_for(tx, run, job, *attempt)
    current = current_state(tx, flow_run_state, run.state_id)
    if was_written(tx, flow_run_state, flow_run_state.c.flow_run_id, run.id, proposed):
        assert current is not None
        return _result(verdicts.repeated(current, proposed), current), False
    before = current
    verdict = decide(current, proposed, _facts(tx, run, job, current, proposed, own, force), force=force)
    for state in verdict.write:
        current = _write(tx, run, state, verdict, current, attempt[0] if own and attempt else None)
    if verdict.last_words and job is not None and job.told_to_end_at is None:
        update_row(tx, attempt_table, job.id, {"told_to_end_at": tx.now, "updated": tx.now})
    if mirror and verdict.write and current is not None and run.parent_task_run_id is not None:
        mirror_subflow_state(tx, run.parent_task_run_id, current)
    if verdict.write and current is not None and job is not None:
        if current.type in TERMINAL:
            tell_slot_free(tx, run, job)
            _tell_attempt(tx, run, job, current, own)
        elif before is not None and before.type is StateType.PAUSED and current.type is StateType.RUNNING:
            _lengthen_limit(tx, job, before, current)
    if verdict.write and current is not None:
        forget_old_response(tx, run.id, current)
        if current.type in (StateType.CANCELLING, StateType.CANCELLED):
            _cancel_tracked(tx, run)
    return _result(verdict, current), bool(verdict.write)


def _speaks_for(tx: Transaction, run: sa.Row[Any], job: sa.Row[Any] | None, attempt_id: UUID, token: str) -> bool:
    """Whether that open attempt is one of this run: the token of another run's is good, but not for this one."""
    if job is not None and job.id == attempt_id:
        check_attempt_token(attempt_id, token)
        return True
    return bool(check_attempt_credential(tx, attempt_id, token).flow_run_id == run.id)


def _facts(
    tx: Transaction,
    run: sa.Row[Any],
    job: sa.Row[Any] | None,
    current: State | None,
    proposed: StateCreate,
    own: bool,
    force: bool,
) -> FlowRunFacts:
    stopping = proposed.type in (StateType.CANCELLING, StateType.CANCELLED) and not own and not force
    is_open = current is None or current.type not in TERMINAL
    return FlowRunFacts(
        now=tx.now,
        run_count=run.run_count,
        lost_tries=_lost_tries(tx, run) if proposed.type is StateType.FAILED and run.infra_failures else 0,
        policy=FlowRunPolicy.model_validate(run.empirical_policy),
        has_job=job is not None and job.status != AttemptStatus.CLAIMED,
        speaks_for_job=own,
        nothing_runs=request_cancel(tx, run) == "cancelled" if stopping and is_open else False,
        can_be_launched=run.deployment_id is not None and run.work_queue_id is not None,
        is_subflow=run.parent_task_run_id is not None and run.work_queue_id is None,
    )


def _lost_tries(tx: Transaction, run: sa.Row[Any]) -> int:
    """How many tries of the run's code were ended by their infrastructure, since somebody last asked for it."""
    lost = sa.select(sa.func.count()).where(
        attempt_table.c.flow_run_id == run.id,
        attempt_table.c.running_at.is_not(None),
        attempt_table.c.reason.in_([reason.value for reason in INFRASTRUCTURE_RETRIABLE]),
    )
    return min(int(tx.execute(lost).scalar_one()), int(run.infra_failures))


def _write(
    tx: Transaction,
    run: sa.Row[Any],
    proposed: StateCreate,
    verdict: Verdict,
    current: State | None,
    speaker: UUID | None,
) -> State:
    state = state_of(proposed, tx.now, current.timestamp if current is not None else None)
    if speaker is not None:
        state.state_details = state.state_details.model_copy(update={"attempt_id": speaker})
    values: dict[str, Any] = {}
    if verdict.policy:
        values["empirical_policy"] = {**run.empirical_policy, **verdict.policy}
    if current is not None and current.type in TERMINAL and state.type not in TERMINAL:
        values["infra_failures"] = 0
    if state.type is StateType.RUNNING and verdict.policy.get("resuming") is False:
        values["run_count"] = run.run_count
    return write_flow_run_state(tx, run, state, values)


def _lengthen_limit(tx: Transaction, job: sa.Row[Any], paused: State, resumed: State) -> None:
    """The time for which its run was paused does not count against the run limit of the attempt."""
    if paused.timestamp is not None and resumed.timestamp is not None:
        seconds = (resumed.timestamp - paused.timestamp).total_seconds() + (job.limits.get("paused") or 0)
        update_row(tx, attempt_table, job.id, {"limits": {**job.limits, "paused": seconds}, "updated": tx.now})


def _cancel_tracked(tx: Transaction, run: sa.Row[Any]) -> None:
    """Runs of deployments that the run asked for as its subflow runs are cancelled with it."""
    for tracked_id in tracked_runs(tx, run.id):
        message = f"The run '{run.name}' that asked for it was cancelled"
        set_flow_run_state(tx, tracked_id, StateCreate(type=StateType.CANCELLING, message=message))


def _tell_attempt(tx: Transaction, run: sa.Row[Any], job: sa.Row[Any], state: State, own: bool) -> None:
    """The engine's last word goes on its attempt. If somebody else ended the run, its job has to stop.

    Not so when a pause was over its time: the engine learns of that at once, and ends by itself.
    """
    if not own and state.state_details.reason is not Reason.PAUSE_EXPIRED:
        request_cancel(tx, run)
        return
    details = state.state_details
    known = {"phase": details.phase, "reason": details.reason, "hint": details.hint}
    values: dict[str, Any] = {key: value for key, value in known.items() if value is not None}
    if values:
        values["message"] = state.message
        update_row(tx, attempt_table, job.id, {"updated": tx.now, **values})


def _result(verdict: Verdict, current: State | None) -> OrchestrationResult:
    status: Answer = verdict.answer
    return OrchestrationResult(state=current if verdict.tells_state else None, status=status, details=verdict.details())
