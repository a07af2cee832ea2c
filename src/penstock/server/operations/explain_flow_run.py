"""Gathers what `rules.explain` needs."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock.errors import NotFound
from penstock.model.flow_runs import FlowRun
from penstock.model.states import StateType
from penstock.model.transitions import AWAITING_SLOT
from penstock.server.database.attempts import OPEN
from penstock.server.database.connection import Transaction
from penstock.server.database.rows import SELECT_FLOW_RUN, TERMINAL_TYPES, flow_run_from
from penstock.server.database.tables import attempt, flow_run, task_run, task_run_state, work_pool, work_queue
from penstock.server.operations.read_attempts import attempt_from
from penstock.server.rules.explain import Limit, Queue, explain

#: More runs than that are not counted.
MOST_COUNTED = 1000


def explain_flow_run(tx: Transaction, flow_run_id: UUID) -> dict[str, Any]:
    """``{"flow_run_id", "state", "explanation"}``. Raises NotFound."""
    row = tx.execute(SELECT_FLOW_RUN.where(flow_run.c.id == flow_run_id)).one_or_none()
    if row is None:
        raise NotFound(f"There is no flow run {flow_run_id}", hint="List the runs: penstock flow-run ls")
    run = flow_run_from(row, tx.now)
    newest = sa.select(attempt).where(attempt.c.flow_run_id == run.id).order_by(attempt.c.number.desc()).limit(1)
    last = tx.execute(newest).one_or_none()
    queue = _queue(tx, run) if run.state_type is StateType.SCHEDULED else None
    slots = _waiting_for_slots(tx, run) if run.state_type is StateType.RUNNING else []
    sentence = explain(run, attempt_from(last) if last is not None else None, queue, tx.now, slots)
    return {"flow_run_id": run.id, "state": run.state_name, "explanation": sentence}


def _waiting_for_slots(tx: Transaction, run: FlowRun) -> list[str]:
    waiting = sa.and_(task_run.c.flow_run_id == run.id, task_run.c.state_name == AWAITING_SLOT)
    query = sa.select(task_run_state.c.message).join(task_run, task_run.c.state_id == task_run_state.c.id)
    return [message or "" for message in tx.execute(query.where(waiting).limit(MOST_COUNTED)).scalars()]


def _queue(tx: Transaction, run: FlowRun) -> Queue | None:
    query = (
        sa.select(
            work_queue,
            work_pool.c.name.label("pool_name"),
            work_pool.c.is_paused.label("pool_is_paused"),
            work_pool.c.concurrency_limit.label("pool_limit"),
        )
        .join(work_pool, work_pool.c.id == work_queue.c.work_pool_id)
        .where(work_queue.c.id == run.work_queue_id)
    )
    row = tx.execute(query).one_or_none()
    if row is None:
        return None
    pool, queue = f"work pool '{row.pool_name}'", f"work queue '{row.name}'"
    paused = f"Work pool '{row.pool_name}'" if row.pool_is_paused else None
    paused = f"Work queue '{row.name}'" if row.is_paused else paused
    limits = [
        *_limit(tx, queue, row.concurrency_limit, attempt.c.work_queue_id == row.id),
        *_limit(tx, pool, row.pool_limit, attempt.c.work_pool_id == row.work_pool_id),
    ]
    return Queue(row.name, paused, row.last_polled, limits, _ahead(tx, run))


def _limit(tx: Transaction, of: str, limit: int | None, mine: sa.ColumnElement[bool]) -> list[Limit]:
    """The limit, if it is used up."""
    if limit is None:
        return []
    query = (
        sa.select(flow_run.c.name)
        .join(attempt, attempt.c.flow_run_id == flow_run.c.id)
        .where(mine, OPEN, flow_run.c.state_type.not_in(TERMINAL_TYPES))
        .order_by(attempt.c.claimed_at)
        .limit(MOST_COUNTED)
    )
    holders = list(tx.execute(query).scalars())
    return [Limit(of, limit, holders)] if len(holders) >= limit else []


def _ahead(tx: Transaction, run: FlowRun) -> int:
    """How many runs of the same queue are due before this one."""
    earlier = (
        sa.select(flow_run.c.id)
        .where(flow_run.c.work_queue_id == run.work_queue_id, flow_run.c.state_type == StateType.SCHEDULED.value)
        .where(flow_run.c.next_scheduled_start_time < run.next_scheduled_start_time)
        .limit(MOST_COUNTED)
        .subquery()
    )
    return int(tx.execute(sa.select(sa.func.count()).select_from(earlier)).scalar_one())
