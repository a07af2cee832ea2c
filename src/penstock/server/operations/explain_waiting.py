"""Gathers what `rules.waiting` needs of a run that is due: its queue, who serves it, and the limits before it."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock.model.attempts import AttemptStatus
from penstock.model.flow_run_limits import SlotUse
from penstock.model.flow_runs import FlowRun
from penstock.model.queue_names import serves
from penstock.model.states import StateType
from penstock.model.work_pools import DEFAULT_POOL
from penstock.server.database import tables as t
from penstock.server.database.attempts import OPEN
from penstock.server.database.connection import Transaction
from penstock.server.database.due_runs import DEFAULT_TYPE, has_tag_of
from penstock.server.database.live_runs import tag_limits
from penstock.server.operations.read_live_runs import slot_use
from penstock.server.rules.choosing import Key
from penstock.server.rules.waiting import FullLimit, Holder, Queue, Server

#: More runs than that are not counted.
MOST_COUNTED = 1000
#: What agents of Prefect 2 that call themselves workers are known to be able to do.
ANYTHING = "worker"

_RUN = t.flow_run.c
_QUEUES = sa.select(
    t.work_queue,
    t.work_pool.c.name.label("pool_name"),
    t.work_pool.c.is_paused.label("pool_is_paused"),
    t.work_pool.c.concurrency_limit.label("pool_limit"),
).join(t.work_pool, t.work_pool.c.id == t.work_queue.c.work_pool_id)


def queue_of(tx: Transaction, run: FlowRun) -> Queue | None:
    """What there is to know of the queue in which the due `run` waits; None if it belongs to none."""
    row = tx.execute(_QUEUES.where(t.work_queue.c.id == run.work_queue_id)).one_or_none()
    if row is None:
        return None
    agents = [agent for agent in _online_agents(tx) if _serves(agent, row)]
    before = _queues_before(tx, row, agents)
    return Queue(
        name=row.name,
        pool=row.pool_name,
        is_paused=row.is_paused,
        pool_is_paused=row.pool_is_paused,
        last_polled=row.last_polled,
        needs=_type_of(tx, run),
        agents=[_server(agent) for agent in agents],
        limits=_full_limits(tx, run, row),
        higher=_count(tx, run, [_RUN.work_queue_id.in_([one.id for one in before if one.priority < row.priority])]),
        earlier=_count(
            tx,
            run,
            [
                _RUN.work_queue_id.in_([row.id, *(one.id for one in before if one.priority == row.priority)]),
                _first(run),
            ],
        ),
    )


def _online_agents(tx: Transaction) -> Sequence[sa.Row[Any]]:
    mine = sa.and_(t.attempt.c.agent_id == t.agent.c.id, OPEN)
    starting = sa.and_(mine, t.attempt.c.status != AttemptStatus.RUNNING.value)
    query = sa.select(
        t.agent,
        sa.select(sa.func.count()).where(mine).scalar_subquery().label("runs"),
        sa.select(sa.func.count()).where(starting).scalar_subquery().label("starting"),
    ).where(t.agent.c.lease_expires_at > tx.now, t.agent.c.draining.is_(False))
    return tx.execute(query.order_by(t.agent.c.name, t.agent.c.id)).all()


def _serves(agent: sa.Row[Any], queue: sa.Row[Any]) -> bool:
    pools = agent.work_pools or [agent.work_pool or DEFAULT_POOL]
    return serves((queue.pool_name, queue.name), pools, agent.work_queues, agent.work_queue_prefixes)


def _server(agent: sa.Row[Any]) -> Server:
    types = [] if ANYTHING in agent.capabilities else agent.capabilities
    return Server(agent.name, agent.runs, agent.starting, agent.limit, agent.ramp_up, types, agent.away)


def _queues_before(tx: Transaction, queue: sa.Row[Any], agents: Sequence[sa.Row[Any]]) -> list[sa.Row[Any]]:
    """Other queues of the pool whose runs may come first: not paused, and served by one of the same agents."""
    others = _QUEUES.where(t.work_queue.c.work_pool_id == queue.work_pool_id, t.work_queue.c.id != queue.id)
    rows = tx.execute(others.where(t.work_queue.c.is_paused.is_(False), t.work_queue.c.priority <= queue.priority))
    return [row for row in rows if any(_serves(agent, row) for agent in agents)]


def _first(run: FlowRun) -> sa.ColumnElement[bool]:
    """That another due run comes before this one where nothing but time matters."""
    at = run.next_scheduled_start_time
    return sa.or_(
        _RUN.next_scheduled_start_time < at,
        sa.and_(_RUN.next_scheduled_start_time == at, _RUN.id < run.id),
    )


def _count(tx: Transaction, run: FlowRun, conditions: Sequence[sa.ColumnElement[bool]]) -> int:
    """How many other due runs there are like that."""
    due = sa.select(_RUN.id).where(_RUN.state_type == StateType.SCHEDULED.value, _RUN.id != run.id)
    found = due.where(_RUN.next_scheduled_start_time <= tx.now, *conditions).limit(MOST_COUNTED).subquery()
    return int(tx.execute(sa.select(sa.func.count()).select_from(found)).scalar_one())


def _type_of(tx: Transaction, run: FlowRun) -> str | None:
    """The infrastructure type that the run needs; None if its block is gone."""
    document_id = run.infrastructure_document_id
    if document_id is None and run.deployment_id is not None:
        of_deployment = sa.select(t.deployment.c.infrastructure_document_id).where(
            t.deployment.c.id == run.deployment_id
        )
        document_id = tx.execute(of_deployment).scalar_one_or_none()
    if document_id is None:
        return DEFAULT_TYPE
    slug: str | None = tx.execute(
        sa.select(t.block_type.c.slug)
        .join(t.block_document, t.block_document.c.block_type_id == t.block_type.c.id)
        .where(t.block_document.c.id == document_id)
    ).scalar_one_or_none()
    return slug


def _full_limits(tx: Transaction, run: FlowRun, queue: sa.Row[Any]) -> list[FullLimit]:
    """The limits before the run that are used up, the widest last."""
    limits: list[tuple[Key, str, int | None, list[sa.ColumnElement[bool]]]] = []
    if run.deployment_id is not None:
        name, limit = _deployment(tx, run.deployment_id)
        mine: list[sa.ColumnElement[bool]] = [_RUN.deployment_id == run.deployment_id]
        limits.append((("deployment", run.deployment_id), f"deployment '{name}'", limit, mine))
    schedule = _schedule(tx, run)
    if schedule is not None:
        planned: list[sa.ColumnElement[bool]] = [_RUN.schedule_id == schedule.id]
        limits.append((("schedule", schedule.id), "its schedule (max_active_runs)", schedule.max_active_runs, planned))
    for tag, limit in tag_limits(tx).items():
        if tag in run.tags:
            same = [has_tag_of(tx.dialect, sa.bindparam("limited", [tag], expanding=True))]
            limits.append((("tag", tag), f"flow runs with the tag '{tag}'", limit, same))
    in_queue: list[sa.ColumnElement[bool]] = [_RUN.work_queue_id == queue.id]
    limits.append((("queue", queue.id), f"work queue '{queue.name}'", queue.concurrency_limit, in_queue))
    of_pool = sa.select(t.work_queue.c.id).where(t.work_queue.c.work_pool_id == queue.work_pool_id)
    in_pool: list[sa.ColumnElement[bool]] = [_RUN.work_queue_id.in_(of_pool)]
    limits.append((("pool", queue.work_pool_id), f"work pool '{queue.pool_name}'", queue.pool_limit, in_pool))
    found = []
    for key, of, limit, like in limits:
        use = slot_use(tx, key, limit) if limit is not None else None
        if use is not None and limit is not None and use.taken >= limit:
            ahead = _count(tx, run, [*like, _first(run)])
            found.append(FullLimit(of, limit, use.taken, _holders(use), ahead))
    return found


def _deployment(tx: Transaction, deployment_id: UUID) -> tuple[str, int | None]:
    """Its full name, and its limit."""
    query = (
        sa.select(t.flow.c.name.label("flow_name"), t.deployment.c.name, t.deployment.c.concurrency_limit)
        .join(t.flow, t.flow.c.id == t.deployment.c.flow_id)
        .where(t.deployment.c.id == deployment_id)
    )
    row = tx.execute(query).one_or_none()
    return (f"{row.flow_name}/{row.name}", row.concurrency_limit) if row is not None else ("", None)


def _schedule(tx: Transaction, run: FlowRun) -> sa.Row[Any] | None:
    """The limited schedule that has made the run."""
    c = t.deployment_schedule.c
    mine = sa.select(_RUN.schedule_id).where(_RUN.id == run.id).scalar_subquery()
    query = sa.select(c.id, c.max_active_runs).where(c.id == mine, c.max_active_runs.is_not(None))
    return tx.execute(query).one_or_none()


def _holders(use: SlotUse) -> list[Holder]:
    return [
        Holder(live.flow_run_name, live.state_name or "", live.since, live.unobserved_since) for live in use.live_runs
    ]
