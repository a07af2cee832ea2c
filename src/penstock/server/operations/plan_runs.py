"""The runs of schedules, planned ahead and made up for; each time of a schedule makes one run, however often it is planned.

`planned_until` of a schedule is how far it is planned: each of its times up to there has its run, or none is owed for it.
`plan_at` is when there is something to plan again. Whoever changes a schedule or its deployment changes the deployment's
row first, and planning locks that row: so it sees either all of a change or nothing.
"""

import logging
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock.model.schedules import Schedule
from penstock.server.database.bulk import update_many
from penstock.server.database.connection import Transaction
from penstock.server.database.tables import deployment, deployment_schedule, flow_run
from penstock.server.operations.insert_planned_runs import PlannedRuns, insert_planned_runs
from penstock.server.operations.read_schedule import schedule_from
from penstock.server.operations.skip_missed_runs import find_missed_runs, skip_missed_runs
from penstock.server.rules.catchup import MOST_CAUGHT_UP
from penstock.server.rules.schedules import missed, planned, upcoming

_log = logging.getLogger("penstock.server.scheduler")

#: How far ahead runs are planned: what an hour holds, at least 3, at most 100, and none but the first beyond two weeks.
LEAST, MOST = 3, 100
COVER, AHEAD = timedelta(hours=1), timedelta(days=14)
#: When a schedule that has no further time, or cannot be understood, is looked at again.
LOOK_AGAIN = timedelta(hours=1)

_S = deployment_schedule.c
_ACTIVE = (_S.active, deployment.c.is_schedule_active, deployment.c.paused.is_(False))
_SOURCE = (
    sa.select(
        deployment.c.id,
        deployment.c.name,
        deployment.c.flow_id,
        deployment.c.version,
        deployment.c.work_queue_id,
        deployment.c.work_queue_name,
        deployment.c.infrastructure_document_id,
        deployment.c.parameters,
        deployment.c.tags,
        _S.id.label("schedule_id"),
        _S.schedule,
        _S.name.label("schedule_name"),
        _S.parameters.label("schedule_parameters"),
        _S.max_scheduled_runs,
        _S.catchup_policy,
        _S.planned_until,
    )
    .join(deployment_schedule, deployment.c.id == _S.deployment_id)
    .where(*_ACTIVE)
)


@dataclass(frozen=True)
class _Plan:
    """What one look at a schedule has found."""

    source: sa.Row[Any]
    times: list[datetime]
    planned_until: datetime
    plan_at: datetime


def find_due_schedules(tx: Transaction, limit: int) -> list[UUID]:
    """Active schedules of active deployments that there is something to plan for."""
    due = sa.or_(_S.plan_at.is_(None), _S.plan_at <= tx.now)
    query = sa.select(_S.id).join(deployment, deployment.c.id == _S.deployment_id).where(due, *_ACTIVE)
    return list(tx.execute(query.limit(limit)).scalars())


def plan_runs(tx: Transaction, schedule_ids: Collection[UUID], *, wait: bool = True) -> int:
    """Plan the next runs of those of these schedules that are active. Returns how many of them were planned.

    `wait`: for whoever changes one of their deployments right now; otherwise those are left out.
    """
    plans = [_look(tx, source) for source in _lock(tx, schedule_ids, wait)]
    if not plans:
        return 0
    there = _runs_there(tx, plans)
    new = [
        PlannedRuns(plan.source, [time for time in plan.times if (plan.source.schedule_id, time) not in there])
        for plan in plans
    ]
    insert_planned_runs(tx, new)
    stamps = [
        {"id": plan.source.schedule_id, "planned_until": plan.planned_until, "plan_at": plan.plan_at} for plan in plans
    ]
    update_many(tx, deployment_schedule, stamps)
    late = {runs.source.schedule_id for runs in new if runs.times and runs.times[0] <= tx.now}
    if late:
        skip_missed_runs(tx, find_missed_runs(tx, late))
    return len(plans)


def _lock(tx: Transaction, schedule_ids: Collection[UUID], wait: bool) -> list[sa.Row[Any]]:
    """The active ones of these schedules with their deployments, which nobody changes until the transaction is over."""
    ids = list(schedule_ids)
    mine = sa.select(_S.deployment_id).where(_S.id.in_(ids))
    lock = (
        sa.select(deployment.c.id)
        .where(deployment.c.id.in_(mine))
        .order_by(deployment.c.id)
        .with_for_update(key_share=True, skip_locked=not wait)
    )
    locked = list(tx.execute(lock).scalars())
    query = _SOURCE.where(_S.id.in_(ids))
    if len(locked) < len(ids):
        query = query.where(deployment.c.id.in_(locked))
    return list(tx.execute(query))


def _look(tx: Transaction, source: sa.Row[Any]) -> _Plan:
    most = MOST if source.max_scheduled_runs is None else min(MOST, source.max_scheduled_runs)
    since = source.planned_until or tx.now
    try:
        schedule = schedule_from(source.schedule)
        ahead = planned(schedule, tx.now, least=min(LEAST, most), most=most, cover=COVER, ahead=AHEAD)
        owed = _owed(tx, source, schedule, since) if since < tx.now else []
    except ValueError as error:
        _log.warning("Schedule %s of deployment %s makes no runs: %s", source.schedule_id, source.name, error)
        return _Plan(source, [], since, tx.now + LOOK_AGAIN)
    until = max([since, tx.now, *ahead])
    times = owed + [time for time in ahead if time > since]
    return _Plan(source, times, until, ahead[0] if ahead else tx.now + LOOK_AGAIN)


def _owed(tx: Transaction, source: sa.Row[Any], schedule: Schedule, since: datetime) -> list[datetime]:
    """The times that passed without anybody planning them, because no server was there or a change has undone it."""
    times = missed(schedule, since, tx.now, MOST_CAUGHT_UP)
    if times and next(upcoming(schedule, since)) < times[0]:
        _log.warning(
            "Schedule %s of deployment %s was missed too often: only its newest %d times, from %s on, are made up for",
            source.schedule_id,
            source.name,
            MOST_CAUGHT_UP,
            times[0].isoformat(),
        )
    return times


def _runs_there(tx: Transaction, plans: list[_Plan]) -> set[tuple[UUID, datetime]]:
    """Which of the planned times have their run: some are somebody's already when all others are planned anew."""
    first = min((time for plan in plans for time in plan.times), default=None)
    if first is None:
        return set()
    ids = [plan.source.schedule_id for plan in plans if plan.times]
    query = sa.select(flow_run.c.schedule_id, flow_run.c.expected_start_time).where(
        flow_run.c.schedule_id.in_(ids), flow_run.c.expected_start_time >= first
    )
    return {(row.schedule_id, row.expected_start_time) for row in tx.execute(query)}
