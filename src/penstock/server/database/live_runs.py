"""Live runs, which take the slots of queues, pools, deployments and tags: those with an open attempt that are not over.

Nothing is taken or given back here: slots are counted, so that none can leak.
"""

from collections.abc import Collection, Sequence
from functools import cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock.server.database.attempts import OPEN
from penstock.server.database.connection import Transaction
from penstock.server.database.due_runs import each_tag
from penstock.server.database.rows import TERMINAL_TYPES
from penstock.server.database.tables import (
    attempt,
    deployment,
    deployment_schedule,
    flow_run,
    flow_run_tag_limit,
    work_pool,
    work_queue,
)
from penstock.server.database.turns import wait_for_turn

#: For queries on `attempt` with its `flow_run`.
LIVE = sa.and_(OPEN, flow_run.c.state_type.not_in(TERMINAL_TYPES))

ATTEMPTS = attempt.join(flow_run, flow_run.c.id == attempt.c.flow_run_id)
_TAG_LIMITS = sa.select(flow_run_tag_limit.c.tag, flow_run_tag_limit.c.concurrency_limit)


def _live_of(table: sa.Table, limit: sa.Column[int], of_run: sa.ColumnElement[bool]) -> sa.Select[Any]:
    return (
        sa.select(table.c.id, limit.label("limit"), sa.func.count(attempt.c.id).label("taken"))
        .select_from(ATTEMPTS.join(table, of_run))
        .where(LIVE, limit.is_not(None))
        .group_by(table.c.id, limit)
    )


_LIMITED = {
    "deployment": _live_of(deployment, deployment.c.concurrency_limit, deployment.c.id == attempt.c.deployment_id),
    "schedule": _live_of(
        deployment_schedule,
        deployment_schedule.c.max_active_runs,
        deployment_schedule.c.id == flow_run.c.schedule_id,
    ),
}


def slots_taken(tx: Transaction, column: sa.Column[UUID], ids: Collection[UUID]) -> dict[UUID, int]:
    """How many runs are live per queue, pool or deployment: `column` of `attempt` says which."""
    query = (
        sa.select(column, sa.func.count(attempt.c.id))
        .select_from(ATTEMPTS)
        .where(column.in_(list(ids)), LIVE)
        .group_by(column)
    )
    rows: Sequence[Any] = tx.execute(query).all()
    return {row[0]: row[1] for row in rows}


def live_limited(tx: Transaction, kind: str) -> Sequence[sa.Row[Any]]:
    """Every limited deployment, or schedule, that has live runs: id, limit, taken. `kind` says which of the two."""
    return tx.execute(_LIMITED[kind]).all()


def tag_limits(tx: Transaction) -> dict[str, int]:
    """How many flow runs with each limited tag may be live at once."""
    return {row.tag: row.concurrency_limit for row in tx.execute(_TAG_LIMITS)}


def tags_taken(tx: Transaction, tags: Collection[str]) -> dict[str, int]:
    """How many runs with each of `tags` are live."""
    rows = tx.execute(_tags_taken(tx.dialect), {"tags": list(tags)}).all() if tags else []
    return {row.value: row.taken for row in rows}


@cache
def _tags_taken(dialect: str) -> sa.Select[Any]:
    tag = each_tag(dialect)
    return (
        sa.select(tag.c.value, sa.func.count(attempt.c.id.distinct()).label("taken"))
        .select_from(ATTEMPTS.join(tag, sa.true()))
        .where(LIVE, tag.c.value.in_(sa.bindparam("tags", expanding=True)))
        .group_by(tag.c.value)
    )


def lock_limited(tx: Transaction, pools: Collection[UUID], queues: Collection[UUID]) -> None:
    """Keep others from counting slots of these pools and queues until this transaction is over."""
    for table, ids in ((work_pool, pools), (work_queue, queues)):
        if ids:
            # not against those who only refer to the row, such as new runs
            query = sa.select(table.c.id).where(table.c.id.in_(list(ids))).order_by(table.c.id)
            tx.execute(query.with_for_update(key_share=True)).all()


def lock_limits_across_queues(tx: Transaction) -> None:
    """Keep others from counting slots of deployments, schedules and tags, whichever, until this transaction is over.

    One lock for all of them: which runs will be met is not known before, and rows locked one after the other as they are
    met could be waited for in a circle.
    """
    wait_for_turn(tx, "limits across queues")
