"""Who holds the slots of a queue, a pool, a deployment or a flow run tag."""

from uuid import UUID

import sqlalchemy as sa

from penstock.model.filters import MAX_LIMIT
from penstock.model.flow_run_limits import LiveRun, SlotUse
from penstock.server.database.connection import Transaction
from penstock.server.database.due_runs import has_tag_of
from penstock.server.database.live_runs import ATTEMPTS, LIVE
from penstock.server.database.tables import attempt, deployment, flow_run
from penstock.server.operations.ensure_work_queue import find_pool_id
from penstock.server.operations.flow_run_tag_limits import read_flow_run_tag_limit
from penstock.server.operations.read_deployments import read_deployment
from penstock.server.operations.read_work_pools import read_work_pool
from penstock.server.operations.read_work_queues import read_work_queue
from penstock.server.rules.choosing import Key

_COLUMNS = (
    attempt.c.flow_run_id,
    flow_run.c.name.label("flow_run_name"),
    flow_run.c.state_type,
    flow_run.c.state_name,
    attempt.c.deployment_id,
    deployment.c.name.label("deployment_name"),
    flow_run.c.work_queue_name,
    attempt.c.id.label("attempt_id"),
    attempt.c.number.label("attempt_number"),
    attempt.c.status.label("attempt_status"),
    attempt.c.agent_name,
    attempt.c.infrastructure_type,
    attempt.c.claimed_at.label("since"),
    attempt.c.unobserved_since,
)
_OF = {
    "queue": attempt.c.work_queue_id,
    "pool": attempt.c.work_pool_id,
    "deployment": attempt.c.deployment_id,
    "schedule": flow_run.c.schedule_id,
}


def read_slots_of_queue(tx: Transaction, queue_id: UUID) -> SlotUse:
    """Raises NotFound."""
    return slot_use(tx, ("queue", queue_id), read_work_queue(tx, queue_id).concurrency_limit)


def read_slots_of_pool(tx: Transaction, name: str) -> SlotUse:
    """Raises NotFound with the nearest name."""
    limit = read_work_pool(tx, name).concurrency_limit
    return slot_use(tx, ("pool", find_pool_id(tx, name)), limit)


def read_slots_of_deployment(tx: Transaction, deployment_id: UUID) -> SlotUse:
    """Raises NotFound."""
    return slot_use(tx, ("deployment", deployment_id), read_deployment(tx, deployment_id).concurrency_limit)


def read_slots_of_tag(tx: Transaction, tag: str) -> SlotUse:
    """Raises NotFound with the nearest tag that is limited."""
    return slot_use(tx, ("tag", tag), read_flow_run_tag_limit(tx, tag).concurrency_limit)


def slot_use(tx: Transaction, limited: Key, limit: int | None) -> SlotUse:
    """What is taken of that limit, and by which runs."""
    counted = _counting(tx, limited)
    taken = int(tx.execute(sa.select(sa.func.count()).select_from(ATTEMPTS).where(counted, LIVE)).scalar_one())
    query = (
        sa.select(*_COLUMNS)
        .select_from(ATTEMPTS.outerjoin(deployment, deployment.c.id == attempt.c.deployment_id))
        .where(counted, LIVE)
        .order_by(attempt.c.claimed_at, attempt.c.id)
        .limit(MAX_LIMIT)
    )
    runs = [LiveRun.model_validate(row._mapping) for row in tx.execute(query)]
    return SlotUse(concurrency_limit=limit, taken=taken, live_runs=runs)


def _counting(tx: Transaction, limited: Key) -> sa.ColumnElement[bool]:
    kind, which = limited
    if kind == "tag":
        return has_tag_of(tx.dialect, sa.bindparam("of_tags", [which], expanding=True))
    counted: sa.ColumnElement[bool] = _OF[kind] == which
    return counted
