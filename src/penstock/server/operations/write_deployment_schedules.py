"""A deployment's schedules as rows. Whoever changes them plans anew in the same transaction."""

import json
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock.errors import Invalid
from penstock.model.base import JSONObject, new_id
from penstock.model.deployments import DeploymentSchedule, DeploymentScheduleCreate
from penstock.server.database import tables as t
from penstock.server.database.connection import Transaction
from penstock.server.operations.delete_scheduled_runs import delete_scheduled_runs
from penstock.server.operations.slot_topics import topic_of
from penstock.server.rules.catchup import planning_start
from penstock.server.rules.parameters import refuse_unfit_parameters, refuse_unknown_parameters

_C = t.deployment_schedule.c


def insert_deployment_schedules(
    tx: Transaction, deployment_id: UUID, schedules: Sequence[DeploymentScheduleCreate]
) -> list[DeploymentSchedule]:
    """Add schedules to a deployment. Raises Invalid if it has one of them already, ParameterError for its parameters."""
    stamps = {"deployment_id": deployment_id, "updated": tx.now, "planned_until": tx.now}
    rows = [
        # they are read by the time of their creation, so that they keep their order
        {
            "id": new_id(),
            **stamps,
            "created": tx.now + timedelta(microseconds=place),
            **schedule.model_dump(mode="json"),
        }
        for place, schedule in enumerate(schedules)
    ]
    if rows:
        tx.execute(t.deployment_schedule.insert(), rows)
        refuse_unfit_schedules(tx, deployment_id)
    return [DeploymentSchedule.model_validate(row) for row in rows]


def replace_deployment_schedules(
    tx: Transaction, deployment_id: UUID, schedules: Sequence[DeploymentScheduleCreate]
) -> None:
    """Make `schedules` the deployment's schedules. Those that are there already keep their ids, what they owe, and what
    is not said of them."""
    live = read_schedule_rows(tx, deployment_id)
    left = {row.id: row for row in live}
    new: list[DeploymentScheduleCreate] = []
    for asked in schedules:
        whole = asked.model_dump(mode="json")
        twin = next((row for row in left.values() if _identity(row._mapping) == _identity(whole)), None)
        if twin is None:
            new.append(asked)
        else:
            write_schedule(tx, left.pop(twin.id), _said(asked))
    # an edited schedule goes on as itself, so that a run which has been taken already is not planned once more
    for row, asked in zip(list(left.values()), list(new), strict=False):
        write_schedule(tx, left.pop(row.id), _said(asked))
        new.remove(asked)
    for row in left.values():
        delete_schedule(tx, row.id)
    insert_deployment_schedules(tx, deployment_id, new)
    refuse_unfit_schedules(tx, deployment_id)


def _said(asked: DeploymentScheduleCreate) -> JSONObject:
    """The columns of what was said of a schedule; of its times nothing is left unsaid."""
    said = asked.model_dump(mode="json", exclude_unset=True)
    return {**said, "schedule": asked.schedule.model_dump(mode="json")}


def read_schedule_rows(tx: Transaction, deployment_id: UUID) -> Sequence[sa.Row[Any]]:
    query = sa.select(t.deployment_schedule).where(_C.deployment_id == deployment_id).order_by(_C.created, _C.id)
    return tx.execute(query).all()


def write_schedule(tx: Transaction, row: sa.Row[Any], values: JSONObject) -> None:
    """Set columns of a schedule, a row as it is. With other times it starts afresh: what it has planned is forgotten."""
    changed = {key: value for key, value in values.items() if getattr(row, key) != value}
    if not changed:
        return
    if {"schedule", "active"} & changed.keys():
        delete_scheduled_runs(tx, t.flow_run.c.schedule_id == row.id)
        changed["planned_until"] = tx.now
    tx.execute(t.deployment_schedule.update().where(_C.id == row.id).values(**changed, updated=tx.now))
    if "max_active_runs" in changed:
        tx.notify(topic_of(("schedule", row.id)))


def delete_schedule(tx: Transaction, schedule_id: UUID) -> None:
    delete_scheduled_runs(tx, t.flow_run.c.schedule_id == schedule_id)
    tx.execute(t.deployment_schedule.delete().where(_C.id == schedule_id))


def refuse_unfit_schedules(tx: Transaction, deployment_id: UUID) -> None:
    """Raise Invalid if two of a deployment's schedules are the same or share a name, ParameterError for parameters that
    its flow does not have, or that do not fit if it is strict."""
    rows = read_schedule_rows(tx, deployment_id)
    twice = _first_twice(_identity(row._mapping) for row in rows)
    if twice is not None:
        raise Invalid(
            f"The deployment has the same schedule twice: {twice}",
            code="schedule_twice",
            hint="Give them different times or different parameters.",
        )
    name = _first_twice(row.name for row in rows if row.name is not None)
    if name is not None:
        raise Invalid(f"The deployment has two schedules with the name {name!r}", code="schedule_name")
    c = t.deployment.c
    if any(row.parameters for row in rows):
        deployment = tx.execute(
            sa.select(c.parameter_openapi_schema, c.enforce_parameter_schema).where(c.id == deployment_id)
        ).one()
        for row in rows:
            refuse_unknown_parameters(row.parameters, deployment.parameter_openapi_schema)
            if deployment.enforce_parameter_schema:
                refuse_unfit_parameters(row.parameters, deployment.parameter_openapi_schema, partial=True)


def plan_anew(tx: Transaction, deployment_id: UUID) -> None:
    """Forget the runs that were planned for a deployment as it was: the scheduler makes those that are still owed anew.

    Runs that somebody has taken already stay.
    """
    run, deployment = t.flow_run.c, t.deployment
    mine = deployment.c.id == deployment_id
    tx.execute(deployment.update().where(mine).values(updated=tx.now))
    paused = tx.execute(
        sa.select(sa.or_(deployment.c.paused, deployment.c.is_schedule_active.is_(False))).where(mine)
    ).scalar_one()
    planned = sa.and_(run.deployment_id == deployment_id, run.auto_scheduled.is_(True))
    schedules = read_schedule_rows(tx, deployment_id)
    missed = _first_missed(tx, [row.id for row in schedules])
    delete_scheduled_runs(tx, planned)
    for row in schedules:
        active = row.active and not paused
        start = planning_start(row.planned_until, tx.now, active, missed.get(row.id))
        tx.execute(t.deployment_schedule.update().where(_C.id == row.id).values(planned_until=start, plan_at=None))


def _first_missed(tx: Transaction, schedule_ids: Sequence[UUID]) -> dict[UUID, Any]:
    """The earliest planned run of each schedule that is due and still nobody's."""
    if not schedule_ids:
        return {}
    run = t.flow_run.c
    query = (
        sa.select(run.schedule_id, sa.func.min(run.expected_start_time).label("first"))
        .where(run.schedule_id.in_(schedule_ids), run.expected_start_time <= tx.now)
        .where(run.state_type == "SCHEDULED", run.attempt_count == 0, run.start_time.is_(None))
        .group_by(run.schedule_id)
    )
    return {row.schedule_id: row.first for row in tx.execute(query)}


def _identity(values: Any) -> str:
    """What makes a schedule another one: its times and its parameters."""
    return json.dumps([values["schedule"], values["parameters"]], sort_keys=True)


def _first_twice(values: Iterable[str]) -> str | None:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            return value
        seen.add(value)
    return None
