"""Questions about attempts, agents, and the runs and slots they take: statements only, no decisions."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock.model.queue_names import literal_start, matches
from penstock.model.states import StateType
from penstock.server.database.connection import Transaction
from penstock.server.database.statements import lock_row
from penstock.server.database.tables import agent, attempt, flow_run, work_pool, work_queue

#: True for a row of `attempt` that is not over. Written as in the partial indexes.
OPEN = attempt.c.ended_at.is_(None)


def has_open_attempt() -> sa.ColumnElement[bool]:
    """For a query on `flow_run`: whether the run has an attempt that is not over."""
    return sa.exists().where(attempt.c.flow_run_id == flow_run.c.id, OPEN)


# What a poll asks, it asks very often: these are built once, so that SQLAlchemy recognizes them at a glance.
_LOCK_RUN = (
    sa.select(flow_run)
    .where(
        flow_run.c.id
        == sa.select(attempt.c.flow_run_id).where(attempt.c.id == sa.bindparam("attempt_id")).scalar_subquery()
    )
    .with_for_update(of=flow_run)
)
_QUEUES = (
    sa.select(
        work_queue.c.id,
        work_queue.c.name,
        work_queue.c.priority,
        work_queue.c.concurrency_limit,
        work_queue.c.is_paused,
        work_queue.c.last_polled,
        work_queue.c.work_pool_id,
        work_pool.c.name.label("pool_name"),
        work_pool.c.concurrency_limit.label("pool_limit"),
        work_pool.c.is_paused.label("pool_is_paused"),
    )
    .join(work_pool, work_pool.c.id == work_queue.c.work_pool_id)
    .where(work_pool.c.name.in_(sa.bindparam("pools", expanding=True)))
    .order_by(work_queue.c.priority, work_queue.c.name, work_queue.c.id)
)
_NAMED_QUEUES = _QUEUES.where(work_queue.c.name.in_(sa.bindparam("names", expanding=True)))


def _earliest(*conditions: sa.ColumnElement[bool]) -> sa.ScalarSelect[datetime]:
    """For a query on `work_queue`: when the queue's first scheduled run that is like that is due."""
    return (
        sa.select(flow_run.c.next_scheduled_start_time)
        .where(flow_run.c.work_queue_id == work_queue.c.id, flow_run.c.state_type == StateType.SCHEDULED.value)
        .where(flow_run.c.next_scheduled_start_time.is_not(None), *conditions)
        .order_by(flow_run.c.next_scheduled_start_time)
        .limit(1)
        .scalar_subquery()
    )


_ASKED = work_queue.c.id.in_(sa.bindparam("queue_ids", expanding=True))
_NEXT_DUE = sa.select(work_queue.c.id, _earliest().label("due")).where(_ASKED)
_DUE_AFTER = (
    sa.select(_earliest(flow_run.c.next_scheduled_start_time > sa.bindparam("after")).label("due"))
    .select_from(work_queue)
    .where(_ASKED)
    .subquery()
)
_NEXT_DUE_AFTER = sa.select(sa.func.min(_DUE_AFTER.c.due))
_OPEN_ATTEMPTS_OF = (
    sa.select(
        attempt.c.id, attempt.c.status, attempt.c.limits, attempt.c.cancel_requested_at, attempt.c.lease_expires_at
    )
    .where(attempt.c.agent_id == sa.bindparam("agent_id"), OPEN)
    .order_by(attempt.c.claimed_at, attempt.c.id)
)


def lock_run_and_attempt(tx: Transaction, attempt_id: UUID) -> tuple[sa.Row[Any], sa.Row[Any]] | None:
    """The rows of an attempt and its run, locked: the run first, as everywhere. None if there is no such attempt."""
    run = tx.execute(_LOCK_RUN, {"attempt_id": attempt_id}).one_or_none()
    row = lock_row(tx, attempt, attempt_id) if run is not None else None
    return (run, row) if run is not None and row is not None else None


def queues_for(
    tx: Transaction, pools: Collection[str], names: Collection[str], matching: Collection[str]
) -> Sequence[sa.Row[Any]]:
    """The queues of `pools` with one of `names`, or that `matching` means (both empty: all), with what their pools
    say, by priority."""
    if not names and not matching:
        return tx.execute(_QUEUES, {"pools": list(pools)}).all()
    if not matching:
        return tx.execute(_NAMED_QUEUES, {"pools": list(pools), "names": list(names)}).all()
    begin = [work_queue.c.name.startswith(literal_start(text), autoescape=True) for text in matching]
    query = _QUEUES.where(sa.or_(work_queue.c.name.in_(list(names)), *begin))
    rows = tx.execute(query, {"pools": list(pools)})
    return [row for row in rows if row.name in names or any(matches(row.name, text) for text in matching)]


def next_due(tx: Transaction, queue_ids: Collection[UUID]) -> dict[UUID, datetime]:
    """When the earliest scheduled run of each queue is due: one look into an index per queue."""
    rows = tx.execute(_NEXT_DUE, {"queue_ids": list(queue_ids)})
    return {row.id: row.due for row in rows if row.due is not None}


def next_due_after(tx: Transaction, queue_ids: Collection[UUID], after: datetime) -> datetime | None:
    """When the first run of these queues that is due later than `after` is due: one look into an index per queue."""
    parameters = {"queue_ids": list(queue_ids), "after": after}
    first: datetime | None = tx.execute(_NEXT_DUE_AFTER, parameters).scalar_one()
    return first


def open_attempts_of(tx: Transaction, agent_id: UUID) -> Sequence[sa.Row[Any]]:
    """What a poll must know of the attempts that an agent has, by age."""
    return tx.execute(_OPEN_ATTEMPTS_OF, {"agent_id": agent_id}).all()


def orphans(tx: Transaction, reaches: Collection[str], agent_id: UUID, *, limit: int, lock: bool) -> list[UUID]:
    """Attempts whose lease has run out and whose job is in one of these places."""
    if not reaches:
        return []
    query = (
        sa.select(attempt.c.id)
        .where(OPEN, attempt.c.lease_expires_at < tx.now, attempt.c.reach.in_(list(reaches)))
        .where(attempt.c.agent_id != agent_id)
        .order_by(attempt.c.claimed_at, attempt.c.id)
        .limit(limit)
    )
    return list(tx.execute(query.with_for_update(skip_locked=True) if lock else query).scalars())


def types_adrift(tx: Transaction, reaches: Collection[str], agent_id: UUID, capabilities: Collection[str]) -> list[str]:
    """The infrastructure types, of these, of attempts whose lease has run out and whose job is in none of these places."""
    c = attempt.c
    query = sa.select(c.infrastructure_type).distinct().where(OPEN, c.lease_expires_at < tx.now, c.agent_id != agent_id)
    elsewhere = query.where(c.infrastructure_type.in_(list(capabilities)), c.reach.not_in(list(reaches)))
    return sorted(tx.execute(elsewhere).scalars())


def live_reaches(tx: Transaction) -> set[str]:
    """Every place that some agent with a lease can see."""
    rows = tx.execute(sa.select(agent.c.reaches).where(agent.c.lease_expires_at > tx.now, agent.c.draining.is_(False)))
    return {reach for row in rows for reach in row.reaches}
