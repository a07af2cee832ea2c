from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock.errors import NotFound, did_you_mean
from penstock.model.deployments import Deployment, DeploymentSchedule, DeploymentSort, DeploymentStatus
from penstock.model.filters import DeploymentCount, DeploymentQuery
from penstock.model.work_filters import WorkQueueList
from penstock.model.work_queues import WorkQueue
from penstock.server.database import tables as t
from penstock.server.database.connection import Transaction
from penstock.server.database.filters import Conditions
from penstock.server.database.paging import Cut, Order, read_page
from penstock.server.operations.read_work_queues import POLLED_WITHIN, read_work_queue, read_work_queues

_C = t.deployment.c
_SELECT = (
    sa.select(
        t.deployment,
        t.work_pool.c.name.label("work_pool_name"),
        t.work_queue.c.last_polled.label("queue_polled"),
    )
    .outerjoin(t.work_queue, t.work_queue.c.id == _C.work_queue_id)
    .outerjoin(t.work_pool, t.work_pool.c.id == t.work_queue.c.work_pool_id)
)
_ORDERS = {
    DeploymentSort.CREATED_DESC: Order(_C.id, _C.created, descending=True),
    DeploymentSort.UPDATED_DESC: Order(_C.id, _C.updated, descending=True),
    DeploymentSort.NAME_ASC: Order(_C.id, _C.name),
    DeploymentSort.NAME_DESC: Order(_C.id, _C.name, descending=True),
}


def read_deployment(tx: Transaction, deployment_id: UUID) -> Deployment:
    """Raises NotFound."""
    row = tx.execute(_SELECT.where(_C.id == deployment_id)).one_or_none()
    if row is None:
        raise NotFound(f"Deployment not found: {deployment_id}")
    return _deployments(tx, [row])[0]


def read_deployment_by_name(tx: Transaction, flow_name: str, name: str) -> Deployment:
    """Raises NotFound with the nearest name."""
    full = _SELECT.join(t.flow, t.flow.c.id == _C.flow_id).where(t.flow.c.name == flow_name, _C.name == name)
    row = tx.execute(full).one_or_none()
    if row is None:
        known = tx.execute(sa.select(t.flow.c.name + "/" + _C.name).join(t.flow, t.flow.c.id == _C.flow_id).limit(1000))
        asked = f"{flow_name}/{name}"
        raise NotFound(f"Deployment not found: {asked}.{did_you_mean(asked, known.scalars())}")
    return _deployments(tx, [row])[0]


def read_deployments(tx: Transaction, query: DeploymentQuery) -> tuple[list[Deployment], str | None]:
    """A page of deployments, and the cursor of the next page if there may be one."""
    statement = _SELECT.where(*Conditions(tx.dialect).deployments(query))
    cut = Cut(query.sort.value, query.limit, query.offset, query.cursor)
    page = read_page(tx, statement, _ORDERS[query.sort], cut)
    return _deployments(tx, page.rows), page.next_cursor


def count_deployments(tx: Transaction, query: DeploymentCount) -> int:
    statement = sa.select(sa.func.count(_C.id)).where(*Conditions(tx.dialect).deployments(query))
    return int(tx.execute(statement).scalar_one())


def read_queues_of_deployment(tx: Transaction, deployment_id: UUID) -> list[WorkQueue]:
    """The queues that its runs go to: its own, and older ones that choose deployments by tag. Raises NotFound."""
    row = tx.execute(sa.select(_C.work_queue_id, _C.tags).where(_C.id == deployment_id)).one_or_none()
    if row is None:
        raise NotFound(f"Deployment not found: {deployment_id}")
    own = [read_work_queue(tx, row.work_queue_id)] if row.work_queue_id is not None else []
    by_filter = [
        queue
        for queue in read_work_queues(tx, WorkQueueList())
        if queue.filter is not None
        and deployment_id in (queue.filter.deployment_ids or [deployment_id])
        and set(queue.filter.tags or []) <= set(row.tags)
    ]
    return own + [queue for queue in by_filter if queue.id != row.work_queue_id]


def _deployments(tx: Transaction, rows: Sequence[sa.Row[Any]]) -> list[Deployment]:
    schedules = _schedules(tx, [row.id for row in rows])
    found = []
    for row in rows:
        of_row = schedules.get(row.id, [])
        polled = row.queue_polled
        ready = polled is not None and tx.now - polled < timedelta(seconds=POLLED_WITHIN)
        values = {
            **row._mapping,
            "job_variables": row.infra_overrides,
            "schedules": of_row,
            "schedule": of_row[0].schedule if of_row else None,
            "last_polled": max((time for time in (row.last_polled, polled) if time is not None), default=None),
            "status": DeploymentStatus.READY if ready else DeploymentStatus.NOT_READY,
        }
        found.append(Deployment.model_validate(values))
    return found


def _schedules(tx: Transaction, deployment_ids: list[UUID]) -> dict[UUID, list[DeploymentSchedule]]:
    schedule = t.deployment_schedule
    rows = tx.execute(
        sa.select(schedule)
        .where(schedule.c.deployment_id.in_(deployment_ids))
        .order_by(schedule.c.created, schedule.c.id)
    )
    found: dict[UUID, list[DeploymentSchedule]] = {}
    for row in rows:
        found.setdefault(row.deployment_id, []).append(DeploymentSchedule.model_validate(dict(row._mapping)))
    return found
