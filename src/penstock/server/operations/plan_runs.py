"""The next runs of scheduled deployments, planned ahead; each time of a schedule makes one run, however often it is
planned."""

import logging
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from pydantic import TypeAdapter

from penstock.model.schedules import Schedule
from penstock.model.states import StateCreate, StateDetails, StateType
from penstock.server.database.connection import Transaction
from penstock.server.database.tables import deployment, deployment_schedule, flow_run
from penstock.server.database.turns import take_turn
from penstock.server.operations.insert_flow_run import insert_flow_run
from penstock.server.rules.schedules import planned

_log = logging.getLogger("penstock.server.scheduler")
_SCHEDULE: TypeAdapter[Schedule] = TypeAdapter(Schedule)

#: How far ahead runs are planned: what an hour holds, at least 3, at most 100, and none but the first beyond two weeks.
LEAST, MOST = 3, 100
COVER, AHEAD = timedelta(hours=1), timedelta(days=14)
#: A schedule is looked at again after so long even if nothing seems to have changed.
LOOK_AGAIN = timedelta(minutes=10)


@dataclass(frozen=True)
class Active:
    """A schedule that makes runs, and when it and its deployment last changed."""

    schedule_id: UUID
    changed: datetime
    deployment_changed: datetime


def active_schedules(tx: Transaction) -> list[Active]:
    query = (
        sa.select(deployment_schedule.c.id, deployment_schedule.c.updated, deployment.c.updated.label("changed"))
        .join(deployment, deployment.c.id == deployment_schedule.c.deployment_id)
        .where(deployment_schedule.c.active, deployment.c.is_schedule_active, deployment.c.paused.is_(False))
    )
    return [Active(row.id, row.updated, row.changed) for row in tx.execute(query)]


def plan_runs(tx: Transaction, schedule_ids: Collection[UUID]) -> dict[UUID, datetime]:
    """Plan the next runs of these schedules. Returns when to look at each again; empty if another server is at it."""
    if not take_turn(tx, "scheduler"):
        return {}
    query = (
        sa.select(
            deployment,
            deployment_schedule.c.id.label("schedule_id"),
            deployment_schedule.c.schedule,
            deployment_schedule.c.max_scheduled_runs,
        )
        .join(deployment, deployment.c.id == deployment_schedule.c.deployment_id)
        .where(deployment_schedule.c.id.in_(list(schedule_ids)))
    )
    return {row.schedule_id: _plan(tx, row) for row in tx.execute(query).all()}


def _plan(tx: Transaction, row: sa.Row[Any]) -> datetime:
    most = MOST if row.max_scheduled_runs is None else min(MOST, row.max_scheduled_runs)
    try:
        schedule = _SCHEDULE.validate_python(row.schedule)
        times = planned(schedule, tx.now, least=min(LEAST, most), most=most, cover=COVER, ahead=AHEAD)
    except ValueError as error:
        _log.warning("Schedule %s of deployment %s makes no runs: %s", row.schedule_id, row.name, error)
        return tx.now + LOOK_AGAIN
    keys = {f"scheduled {row.id} {time.isoformat()}": time for time in times}
    known = sa.select(flow_run.c.idempotency_key).where(
        flow_run.c.flow_id == row.flow_id, flow_run.c.idempotency_key.in_(list(keys))
    )
    there = set(tx.execute(known).scalars())
    for key, time in keys.items():
        if key not in there:
            _insert(tx, row, key, time)
    return min([*times[:1], tx.now + LOOK_AGAIN])


def _insert(tx: Transaction, row: sa.Row[Any], key: str, time: datetime) -> None:
    values = {
        "flow_id": row.flow_id,
        "deployment_id": row.id,
        "deployment_version": row.version,
        "work_queue_id": row.work_queue_id,
        "work_queue_name": row.work_queue_name,
        "infrastructure_document_id": row.infrastructure_document_id,
        "parameters": row.parameters,
        "tags": row.tags,
        "idempotency_key": key,
        "auto_scheduled": True,
        "created_by": {"id": str(row.schedule_id), "type": "SCHEDULE", "display_value": row.name},
    }
    state = StateCreate(type=StateType.SCHEDULED, state_details=StateDetails(scheduled_time=time))
    insert_flow_run(tx, values, state)
