"""Whether a poll has anything to get or to write: reads only, so that waiting agents cost next to nothing."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock.model.attempts import AgentPoll
from penstock.model.work_pools import DEFAULT_POOL
from penstock.server.database.attempts import next_due_after, open_attempts_of, orphans, queues_for
from penstock.server.database.connection import Transaction
from penstock.server.database.tables import agent
from penstock.server.operations.choose_runs import choose_runs, is_paused
from penstock.server.operations.ensure_work_queue import find_pool_id

_STANDING = sa.select(agent.c.lease_expires_at, agent.c.draining).where(agent.c.id == sa.bindparam("agent_id"))


@dataclass(frozen=True)
class Terms:
    """What holds for polls on this server. Seconds. `judge_leases`: whether a lease that ran out may be taken at its
    word."""

    lease: float = 15.0
    start_limit: float | None = 600.0
    judge_leases: bool = True


@dataclass(frozen=True)
class Look:
    """`act`: claiming would do something. `next_due`: when to look again if nothing wakes us; None: no run is
    waiting."""

    act: bool
    queue_ids: frozenset[UUID]
    pool_id: UUID
    next_due: datetime | None = None


def look_for_orders(tx: Transaction, poll: AgentPoll, terms: Terms) -> Look:
    """Look once. Raises NotFound if there is no such work pool."""
    queues = asked_queues(tx, poll)
    pool_id = pool_of(tx, poll, queues)
    mine = open_attempts_of(tx, poll.agent_id)
    ids = frozenset(queue.id for queue in queues)
    until = tx.now + timedelta(seconds=poll.prefetch_seconds)
    act = (
        _must_register(tx, poll, terms)
        or bool(missing_queues(poll, queues))
        or _has_attempt_news(tx, poll, terms, mine)
        or (not poll.draining and bool(choose_runs(tx, queues, until, capacity(poll, len(mine)), lock=False)))
    )
    active = [queue.id for queue in queues if not is_paused(queue)]
    due = None if act or not poll.capacity else next_due_after(tx, active, until)
    return Look(act, ids, pool_id, due - timedelta(seconds=poll.prefetch_seconds) if due else None)


def asked_queues(tx: Transaction, poll: AgentPoll) -> Sequence[sa.Row[Any]]:
    return queues_for(tx, poll.work_pool or DEFAULT_POOL, poll.work_queues, poll.work_queue_prefixes)


def pool_of(tx: Transaction, poll: AgentPoll, queues: Sequence[sa.Row[Any]]) -> UUID:
    """The id of the pool that is asked, whose queues these are. Raises NotFound if there is no such work pool."""
    return queues[0].work_pool_id if queues else find_pool_id(tx, poll.work_pool or DEFAULT_POOL)


def missing_queues(poll: AgentPoll, queues: Collection[sa.Row[Any]]) -> list[str]:
    """Names that were asked for and do not exist."""
    known = {queue.name for queue in queues}
    return [name for name in dict.fromkeys(poll.work_queues) if name not in known]


def capacity(poll: AgentPoll, open_attempts: int) -> int:
    """How many new attempts the agent may get: what it says, and never more than its limit allows by our own count."""
    if poll.limit is None:
        return poll.capacity
    return max(0, min(poll.capacity, poll.limit - open_attempts))


def _must_register(tx: Transaction, poll: AgentPoll, terms: Terms) -> bool:
    """Whether the agent is new, has changed, or has used up a third of its lease."""
    row = tx.execute(_STANDING, {"agent_id": poll.agent_id}).one_or_none()
    if row is None or row.draining != poll.draining:
        return True
    return _is_worn(tx, row, terms)


def _is_worn(tx: Transaction, row: sa.Row[Any], terms: Terms) -> bool:
    """Whether a third of this lease is used up, so that it is time to renew it."""
    return bool((row.lease_expires_at - tx.now).total_seconds() <= terms.lease * 2 / 3)


def _has_attempt_news(tx: Transaction, poll: AgentPoll, terms: Terms, attempts: Sequence[sa.Row[Any]]) -> bool:
    mine = {row.id: row for row in attempts}
    held, cancelling = set(poll.attempts), set(poll.cancelling)
    if held != set(mine) or any(_is_worn(tx, row, terms) for row in mine.values()):
        return True
    if any(row.cancel_requested_at is not None and row.id not in cancelling for row in mine.values()):
        return True
    return (
        terms.judge_leases and not poll.draining and bool(orphans(tx, poll.reaches, poll.agent_id, limit=1, lock=False))
    )
