"""Propose a state for a task run: for clients that ask for every one of them."""

import random
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock import settings
from penstock.model.states import Answer, OrchestrationResult, State, StateCreate, StateType
from penstock.model.task_runs import TaskRunPolicy
from penstock.model.transitions import RERUN_NAME
from penstock.server.database.connection import Transaction
from penstock.server.database.tables import flow_run, task_run, task_run_state
from penstock.server.operations.check_attempt_credential import check_attempt_credential
from penstock.server.operations.proposed_state import state_of, was_written
from penstock.server.operations.read_cached_state import read_cached_state
from penstock.server.operations.read_state import current_state
from penstock.server.operations.read_task_run import no_task_run
from penstock.server.operations.remember_cached_states import CachedState, remember_cached_states
from penstock.server.operations.take_task_run_slots import TagLimit, limits_of, take_slots
from penstock.server.operations.write_task_run_state import write_task_run_state
from penstock.server.rules import verdicts
from penstock.server.rules.task_runs import TaskRunFacts, decide
from penstock.server.rules.verdicts import Verdict


def set_task_run_state(
    tx: Transaction,
    task_run_id: UUID,
    proposed: StateCreate,
    *,
    force: bool = False,
    attempt: tuple[UUID, str] | None = None,
) -> tuple[OrchestrationResult, bool]:
    """The answer to the proposal, and whether a state was written. Raises NotFound, and Refused ``attempt_superseded``."""
    run = tx.execute(sa.select(task_run).where(task_run.c.id == task_run_id).with_for_update()).one_or_none()
    if run is None:
        raise no_task_run(task_run_id)
    if attempt is not None:
        check_attempt_credential(tx, *attempt)
    current = current_state(tx, task_run_state, run.state_id)
    if was_written(tx, task_run_state, task_run_state.c.task_run_id, run.id, proposed):
        assert current is not None
        return _result(verdicts.repeated(current, proposed), current), False
    parent = _parent(tx, run)
    limits = limits_of(tx, run) if proposed.type is StateType.RUNNING else []
    verdict = decide(current, proposed, _facts(tx, run, parent, proposed, limits), force=force)
    for state in verdict.write:
        new_go = len(verdict.write) > 1 and state.name == RERUN_NAME
        current = _write(tx, run, parent, state, current, {"run_count": 0} if new_go else {})
        run = tx.execute(sa.select(task_run).where(task_run.c.id == task_run_id)).one()
    if verdict.answer is Answer.ACCEPT and verdict.write and current is not None:
        _remember(tx, current)
        take_slots(tx, run, current, limits)
    return _result(verdict, current), bool(verdict.write)


def _parent(tx: Transaction, run: sa.Row[Any]) -> sa.Row[Any] | None:
    if run.flow_run_id is None:
        return None
    columns = sa.select(flow_run.c.state_type, flow_run.c.run_count)
    return tx.execute(columns.where(flow_run.c.id == run.flow_run_id)).one_or_none()


def _facts(
    tx: Transaction, run: sa.Row[Any], parent: sa.Row[Any] | None, proposed: StateCreate, limits: list[TagLimit]
) -> TaskRunFacts:
    flow_type = StateType(parent.state_type) if parent is not None and parent.state_type is not None else None
    return TaskRunFacts(
        now=tx.now,
        run_count=run.run_count,
        policy=TaskRunPolicy.model_validate(run.empirical_policy),
        flow_run_type=flow_type,
        is_new_go=parent is not None and parent.run_count > run.flow_run_run_count,
        cached=_cached(tx, proposed),
        full_tags=tuple(limit.tag for limit in limits if limit.is_full),
        slot_wait=float(settings.get("PENSTOCK_TASK_RUN_TAG_CONCURRENCY_SLOT_WAIT_SECONDS")),
        spread=random.random(),
    )


def _cached(tx: Transaction, proposed: StateCreate) -> State | None:
    details = proposed.state_details
    if proposed.type is not StateType.RUNNING or details is None or not details.cache_key or details.refresh_cache:
        return None
    found = read_cached_state(tx, details.cache_key)
    # Clients that propose every state are those of Prefect 2: they cannot read what our own engine has written.
    return None if found is not None and isinstance(found.data, dict) and "format" in found.data else found


def _remember(tx: Transaction, state: State) -> None:
    """A completed state with a cache key is what the next task run with that key gets."""
    details = state.state_details
    if state.type is StateType.COMPLETED and details.cache_key and state.name != "Cached":
        remember_cached_states(tx, [CachedState(details.cache_key, state.id, details.cache_expiration)])


def _write(
    tx: Transaction,
    run: sa.Row[Any],
    parent: sa.Row[Any] | None,
    proposed: StateCreate,
    current: State | None,
    values: dict[str, Any],
) -> State:
    state = state_of(proposed, tx.now, current.timestamp if current is not None else None)
    if state.type is StateType.RUNNING and parent is not None:
        values = {**values, "flow_run_run_count": parent.run_count}
    return write_task_run_state(tx, run, state, values)


def _result(verdict: Verdict, current: State | None) -> OrchestrationResult:
    state = current if verdict.tells_state else None
    return OrchestrationResult(state=state, status=verdict.answer, details=verdict.details())
