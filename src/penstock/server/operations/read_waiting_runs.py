"""What Prefect 2's agents and workers ask for: runs that are due. They take them by proposing PENDING themselves."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock.model.filters import MAX_LIMIT
from penstock.model.flow_runs import FlowRun
from penstock.model.states import StateType
from penstock.model.work_filters import DeploymentRunsQuery, PoolRun, PoolRunsQuery, QueueRunsQuery
from penstock.server.database import tables as t
from penstock.server.database.connection import Transaction
from penstock.server.database.rows import SELECT_FLOW_RUN, flow_runs_from
from penstock.server.operations.ensure_work_queue import find_pool_id
from penstock.server.operations.read_work_queues import read_work_queue

_RUN = t.flow_run.c
_TAKEN = (StateType.PENDING, StateType.RUNNING, StateType.CANCELLING)


def read_waiting_runs_of_queue(tx: Transaction, queue_id: UUID, asked: QueueRunsQuery, polled: bool) -> list[FlowRun]:
    """The earliest first; none while the queue or its pool is paused. `polled`: an agent asks, not a person.

    Raises NotFound.
    """
    read_work_queue(tx, queue_id)
    queues = _queues(tx, [t.work_queue.c.id == queue_id])
    if polled:
        _mark_polled(tx, [queue_id])
    return _waiting(tx, queues, asked.scheduled_before, None, asked.limit)


def read_waiting_runs_of_pool(tx: Transaction, pool_name: str, asked: PoolRunsQuery) -> list[PoolRun]:
    """By the priority of their queues, then the earliest first. Raises NotFound if there is no such pool."""
    conditions = [t.work_queue.c.work_pool_id == find_pool_id(tx, pool_name)]
    if asked.work_queue_names is not None:
        conditions.append(t.work_queue.c.name.in_(asked.work_queue_names))
    queues = _queues(tx, conditions)
    _mark_polled(tx, [queue.id for queue in queues])
    runs = _waiting(tx, queues, asked.scheduled_before, asked.scheduled_after, asked.limit)
    return [PoolRun.of(run) for run in runs]


def read_waiting_runs_of_deployments(tx: Transaction, asked: DeploymentRunsQuery) -> list[FlowRun]:
    """For a process that serves its own deployments: their runs, whatever the queue, the earliest first."""
    statement = SELECT_FLOW_RUN.where(
        _RUN.deployment_id.in_(asked.deployment_ids), *_due(asked.scheduled_before, None)
    ).order_by(_RUN.next_scheduled_start_time, _RUN.id)
    ours = t.deployment.c.id.in_(asked.deployment_ids)
    tx.execute(t.deployment.update().where(ours).values(last_polled=tx.now))
    return flow_runs_from(tx.execute(statement.limit(_limit(asked.limit))), tx.now)


def _queues(tx: Transaction, conditions: Sequence[sa.ColumnElement[bool]]) -> list[sa.Row[Any]]:
    queue, pool = t.work_queue.c, t.work_pool.c
    return list(
        tx.execute(
            sa.select(
                queue.id,
                queue.is_paused,
                queue.concurrency_limit,
                queue.work_pool_id,
                pool.is_paused.label("pool_is_paused"),
                pool.concurrency_limit.label("pool_limit"),
            )
            .join(t.work_pool, pool.id == queue.work_pool_id)
            .where(*conditions)
            .order_by(queue.priority, queue.name)
        )
    )


def _waiting(
    tx: Transaction, queues: list[sa.Row[Any]], before: datetime | None, after: datetime | None, limit: int | None
) -> list[FlowRun]:
    """Runs of `queues`, which are of one pool, as far as the limits of queue and pool leave room."""
    room = _limit(limit)
    if queues and queues[0].pool_limit is not None:
        in_pool = sa.select(t.work_queue.c.id).where(t.work_queue.c.work_pool_id == queues[0].work_pool_id)
        room = min(room, queues[0].pool_limit - _taken(tx, _RUN.work_queue_id.in_(in_pool)))
    found: list[FlowRun] = []
    for queue in queues:
        wanted = room - len(found)
        if queue.concurrency_limit is not None:
            wanted = min(wanted, queue.concurrency_limit - _taken(tx, _RUN.work_queue_id == queue.id))
        if wanted <= 0 or queue.is_paused or queue.pool_is_paused:
            continue
        statement = SELECT_FLOW_RUN.where(_RUN.work_queue_id == queue.id, *_due(before, after))
        ordered = statement.order_by(_RUN.next_scheduled_start_time, _RUN.id).limit(wanted)
        found += flow_runs_from(tx.execute(ordered), tx.now)
    return _within_deployments(tx, found)


def _within_deployments(tx: Transaction, runs: list[FlowRun]) -> list[FlowRun]:
    """Those of `runs`, in their order, for which the limits of their deployments leave room."""
    limits = sa.select(t.deployment.c.id, t.deployment.c.concurrency_limit).where(
        t.deployment.c.id.in_({run.deployment_id for run in runs if run.deployment_id is not None}),
        t.deployment.c.concurrency_limit.is_not(None),
    )
    room = {
        row.id: row.concurrency_limit - _taken(tx, _RUN.deployment_id == row.id) for row in tx.execute(limits).all()
    }
    kept = []
    for run in runs:
        if run.deployment_id in room:
            room[run.deployment_id] -= 1
            if room[run.deployment_id] < 0:
                continue
        kept.append(run)
    return kept


def _due(before: datetime | None, after: datetime | None) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = [_RUN.state_type == StateType.SCHEDULED]
    if before is not None:
        conditions.append(_RUN.next_scheduled_start_time <= before)
    if after is not None:
        conditions.append(_RUN.next_scheduled_start_time >= after)
    return conditions


def _taken(tx: Transaction, condition: sa.ColumnElement[bool]) -> int:
    statement = sa.select(sa.func.count(_RUN.id)).where(condition, _RUN.state_type.in_(_TAKEN), _RUN.end_time.is_(None))
    return int(tx.execute(statement).scalar_one())


def _mark_polled(tx: Transaction, queue_ids: Sequence[UUID]) -> None:
    for table, column in ((t.work_queue, t.work_queue.c.id), (t.deployment, t.deployment.c.work_queue_id)):
        tx.execute(table.update().where(column.in_(queue_ids)).values(last_polled=tx.now))


def _limit(asked: int | None) -> int:
    return MAX_LIMIT if asked is None else asked
