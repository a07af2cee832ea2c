"""Runs that are due, those of a queue in their order: passed over is what cannot start anyway."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock.model.states import StateType
from penstock.server.database.attempts import has_open_attempt
from penstock.server.database.connection import Transaction
from penstock.server.database.tables import block_document, block_type, deployment, deployment_schedule, flow_run

#: The infrastructure of a run whose deployment names no block.
DEFAULT_TYPE = "process"


@dataclass(frozen=True)
class Passed:
    """What is passed over: runs by id, runs of deployments, with a tag, of schedules; and, unless `types` is empty, runs
    that need infrastructure of any other type."""

    runs: Collection[UUID] = ()
    deployments: Collection[UUID] = ()
    tags: Collection[str] = ()
    types: Collection[str] = ()
    schedules: Collection[UUID] = ()


def due_runs(
    tx: Transaction, queue_id: UUID, until: datetime, limit: int, passed: Passed = Passed()
) -> Sequence[sa.Row[Any]]:
    """The first `limit` runs of a queue that are due and not somebody's already, those due first.

    Rows: id, next_scheduled_start_time, work_queue_id, deployment_id, tags, deployment_limit, schedule_id, schedule_limit.
    """
    parameters: dict[str, Any] = {"queue_id": queue_id, "until": until, "limit": limit}
    given = {name: list(values) for name, values in vars(passed).items() if values}
    default_fits = not passed.types or DEFAULT_TYPE in passed.types
    statement = _due(tx.dialect, frozenset(given), default_fits)
    return tx.execute(statement, parameters | given).all()


def lock_due_runs(tx: Transaction, ids: Collection[UUID], until: datetime) -> Sequence[sa.Row[Any]]:
    """Those of these runs that are still due and nobody else's, whole and locked. What another transaction holds is
    left out: it is about to be somebody's."""
    return tx.execute(_LOCK, {"ids": list(ids), "until": until}).all() if ids else []


_LOCK = (
    sa.select(flow_run)
    .where(flow_run.c.id.in_(sa.bindparam("ids", expanding=True)), flow_run.c.state_type == StateType.SCHEDULED.value)
    .where(flow_run.c.next_scheduled_start_time <= sa.bindparam("until"), ~has_open_attempt())
    .with_for_update(skip_locked=True, of=flow_run)
)


@cache
def _due(dialect: str, given: frozenset[str], default_fits: bool) -> sa.Select[Any]:
    # Built once for each kind of question, so that SQLAlchemy recognizes it at a glance.
    due = flow_run.c
    query = (
        sa.select(
            due.id,
            due.next_scheduled_start_time,
            due.work_queue_id,
            due.deployment_id,
            due.tags,
            deployment.c.concurrency_limit.label("deployment_limit"),
            due.schedule_id,
            deployment_schedule.c.max_active_runs.label("schedule_limit"),
        )
        .select_from(
            flow_run.outerjoin(deployment, deployment.c.id == due.deployment_id).outerjoin(
                deployment_schedule, deployment_schedule.c.id == due.schedule_id
            )
        )
        .where(due.work_queue_id == sa.bindparam("queue_id"), due.state_type == StateType.SCHEDULED.value)
        .where(due.next_scheduled_start_time <= sa.bindparam("until"))
    )
    for name, column in (("deployments", due.deployment_id), ("schedules", due.schedule_id)):
        if name in given:
            query = query.where(sa.or_(column.is_(None), column.not_in(_many(name))))
    if "runs" in given:
        query = query.where(due.id.not_in(_many("runs")))
    if "tags" in given:
        query = query.where(~has_tag_of(dialect, _many("tags")))
    if "types" in given:
        query = query.where(*_runs_on(default_fits))
    query = query.where(~has_open_attempt())
    return query.order_by(due.next_scheduled_start_time, due.id).limit(sa.bindparam("limit"))


def _many(name: str) -> sa.BindParameter[Any]:
    return sa.bindparam(name, expanding=True)


def each_tag(dialect: str) -> sa.TableValuedAlias:
    """For a query on `flow_run`: a row with the column `value` for each tag of the run."""
    elements = sa.func.jsonb_array_elements_text if dialect == "postgresql" else sa.func.json_each
    found = elements(flow_run.c.tags).table_valued("value", joins_implicitly=True)
    return found.render_derived(name="run_tag") if dialect == "postgresql" else found.alias("run_tag")


def has_tag_of(dialect: str, tags: sa.BindParameter[Any]) -> sa.ColumnElement[bool]:
    """For a query on `flow_run`: whether the run has one of `tags`."""
    tag = each_tag(dialect)
    return sa.exists(sa.select(1).select_from(tag).where(tag.c.value.in_(tags)))


def document_of_run() -> sa.ColumnElement[Any]:
    """For a query on `flow_run` with its `deployment`: the id of the run's infrastructure block, null without one."""
    return sa.func.coalesce(flow_run.c.infrastructure_document_id, deployment.c.infrastructure_document_id)


def _runs_on(default_fits: bool) -> list[sa.ColumnElement[bool]]:
    """That the run's infrastructure is of one of the types. One whose block is gone fits: whoever takes it says so."""
    other = (
        sa.select(block_document.c.id)
        .join(block_type, block_type.c.id == block_document.c.block_type_id)
        .where(block_document.c.id == document_of_run(), block_type.c.slug.not_in(_many("types")))
    )
    fits: list[sa.ColumnElement[bool]] = [~sa.exists(other)]
    return fits if default_fits else [*fits, document_of_run().is_not(None)]
