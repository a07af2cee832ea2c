"""An agent's poll: leases renewed, orders told, orphans adopted, due runs claimed; all of it or nothing."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock.errors import ConfigurationError
from penstock.model.attempts import (
    AgentOrders,
    AgentPoll,
    AttemptStatus,
    CancelOrder,
    Claim,
    InfrastructureDocument,
    Limits,
)
from penstock.model.deployments import Deployment
from penstock.model.reasons import Phase, Reason
from penstock.server import keys
from penstock.server.database.attempts import lock_run_and_attempt, open_attempts_of, orphans, types_adrift
from penstock.server.database.connection import Transaction
from penstock.server.database.tables import attempt, work_queue
from penstock.server.operations.choose_runs import Wish, choose_runs, is_paused
from penstock.server.operations.end_attempt import end_attempt
from penstock.server.operations.ensure_work_queue import insert_work_queue
from penstock.server.operations.look_for_orders import Terms, asked_queues, capacity, ids_of_pools, missing_queues
from penstock.server.operations.open_attempt import open_attempt
from penstock.server.operations.read_attempts import attempt_from
from penstock.server.operations.register_agent import register_agent
from penstock.server.operations.run_surroundings import Surroundings
from penstock.server.rules.attempts import Ending

#: The storage that is a folder of a machine.
_FOLDER = "local-file-system"
#: Orphans that one poll takes over at most.
MOST_ADOPTED = 100


def claim_runs(tx: Transaction, poll: AgentPoll, terms: Terms) -> AgentOrders:
    """Answer a poll. The same poll asked again gets the same claims: what an agent has but does not list, it is told
    again.

    Raises NotFound if there is no such work pool.
    """
    queues = asked_queues(tx, poll)
    pool_ids = ids_of_pools(tx, poll, queues)
    lease_end = tx.now + timedelta(seconds=terms.lease)
    register_agent(tx, poll, lease_end)
    missing = missing_queues(pool_ids, poll, queues)
    if missing:
        for pool_id, name in missing:
            insert_work_queue(tx, pool_id, name)
        queues = asked_queues(tx, poll)
    mine = {row.id: row for row in open_attempts_of(tx, poll.agent_id)}
    held = [attempt_id for attempt_id in poll.attempts if attempt_id in mine]
    _renew(tx, held, lease_end)
    around = Surroundings(tx)
    rows = _retake(tx, poll, mine.keys() - set(held), lease_end)
    stopping: list[sa.Row[Any]] = list(mine.values())
    if not poll.draining:
        adopted = _adopt(tx, poll, lease_end) if terms.judge_leases else []
        rows += adopted
        stopping += adopted
        room = min(poll.capacity - len(rows), capacity(poll, [*mine.values(), *adopted]))
        wish = Wish(tx.now + timedelta(seconds=poll.prefetch_seconds), room, tuple(poll.capabilities))
        limits = Limits(start=terms.start_limit)
        pools = {queue.id: queue.work_pool_id for queue in queues}
        for run in choose_runs(tx, queues, wish, lock=True).runs:
            rows.append(open_attempt(tx, run, pools[run.work_queue_id], poll, lease_end, limits))
    adrift = (
        types_adrift(tx, poll.reaches, poll.agent_id, poll.capabilities)
        if terms.judge_leases and not poll.draining
        else []
    )
    _mark_polled(tx, queues, terms)
    return AgentOrders(
        adrift=adrift,
        claims=_claims(tx, rows, around),
        cancel=_cancel_orders(stopping, poll),
        release=[attempt_id for attempt_id in poll.attempts if attempt_id not in mine],
        paused=[queue.name for queue in queues if is_paused(queue)],
        lease_seconds=terms.lease,
        server_time=tx.now,
    )


def _renew(tx: Transaction, ids: Collection[UUID], lease_end: datetime) -> None:
    """Extend the leases of these attempts. One whose lease had run out is seen again."""
    if not ids:
        return
    mine = attempt.c.id.in_(list(ids))
    tx.execute(sa.update(attempt).where(mine, attempt.c.lease_expires_at < tx.now).values(unobserved_since=None))
    tx.execute(sa.update(attempt).where(mine).values(lease_expires_at=lease_end))


def _retake(tx: Transaction, poll: AgentPoll, ids: Collection[UUID], lease_end: datetime) -> list[sa.Row[Any]]:
    """What the agent has but does not list: it has restarted, or an answer was lost. A draining agent lets go of it
    instead."""
    if poll.draining:
        if ids:
            tx.execute(sa.update(attempt).where(attempt.c.id.in_(list(ids))).values(lease_expires_at=tx.now))
        return []
    _renew(tx, ids, lease_end)
    return _rows(tx, ids)


def _adopt(tx: Transaction, poll: AgentPoll, lease_end: datetime) -> list[sa.Row[Any]]:
    ids = orphans(tx, poll.reaches, poll.agent_id, limit=MOST_ADOPTED, lock=True)
    if not ids:
        return []
    values = {
        "agent_id": poll.agent_id,
        "agent_name": poll.name,
        "request_id": poll.request_id,
        "lease_expires_at": lease_end,
        "unobserved_since": None,
        "updated": tx.now,
    }
    tx.execute(sa.update(attempt).where(attempt.c.id.in_(ids)).values(values))
    return _rows(tx, ids)


def _rows(tx: Transaction, ids: Collection[UUID]) -> list[sa.Row[Any]]:
    if not ids:
        return []
    query = sa.select(attempt).where(attempt.c.id.in_(list(ids))).order_by(attempt.c.claimed_at, attempt.c.id)
    return list(tx.execute(query))


def _claims(tx: Transaction, rows: list[sa.Row[Any]], around: Surroundings) -> list[Claim]:
    runs = around.flow_runs([row.flow_run_id for row in rows]) if rows else {}
    claims = []
    for row in rows:
        run = runs[row.flow_run_id]
        deployment = around.deployment(run.deployment_id)
        document_id = run.infrastructure_document_id or (deployment.infrastructure_document_id if deployment else None)
        try:
            infrastructure = around.document(document_id, "infrastructure")
        except ConfigurationError as error:
            if row.status == AttemptStatus.CLAIMED:
                _cannot_launch(tx, row, error)
                continue
            infrastructure = None  # it runs already; its snapshot says how
        claims.append(
            Claim(
                attempt=attempt_from(row),
                token=keys.attempt_token(row.id),
                flow_run=run,
                flow=around.flow(run.flow_id),
                deployment=deployment,
                infrastructure=infrastructure,
                storage=_whereabouts(around, deployment) if infrastructure is not None else None,
            )
        )
    return claims


def _whereabouts(around: Surroundings, deployment: Deployment | None) -> InfrastructureDocument | None:
    """Which storage the deployment has, without what is in it but the folder of one that is a folder."""
    try:
        found = around.document(deployment.storage_document_id, "storage") if deployment else None
    except ConfigurationError:
        return None  # the job says so, where it fetches its code
    if found is None:
        return None
    folder = found.data.get("basepath") if found.slug == _FOLDER else None
    return InfrastructureDocument(slug=found.slug, name=found.name, data={"basepath": folder} if folder else {})


def _cannot_launch(tx: Transaction, row: sa.Row[Any], error: ConfigurationError) -> None:
    found = lock_run_and_attempt(tx, row.id)
    if found is not None:
        end_attempt(tx, *found, Ending(Reason.CONFIGURATION_INVALID, Phase.RENDER, error.message, error.hint))


def _cancel_orders(rows: Iterable[sa.Row[Any]], poll: AgentPoll) -> list[CancelOrder]:
    following = set(poll.cancelling)
    return [
        CancelOrder(attempt_id=row.id, grace=Limits.model_validate(row.limits).grace)
        for row in rows
        if row.cancel_requested_at is not None and row.id not in following
    ]


def _mark_polled(tx: Transaction, queues: Sequence[sa.Row[Any]], terms: Terms) -> None:
    """Last of all, and past rows that others hold: it is worth no waiting."""
    old = tx.now - timedelta(seconds=terms.lease / 3)
    stale = [queue.id for queue in queues if queue.last_polled is None or queue.last_polled < old]
    if stale:
        free = sa.select(work_queue.c.id).where(work_queue.c.id.in_(stale)).with_for_update(skip_locked=True)
        ids = list(tx.execute(free).scalars())
        tx.execute(sa.update(work_queue).where(work_queue.c.id.in_(ids)).values(last_polled=tx.now))
