"""Whether a poll has anything to get or to write: reads only, so that waiting agents cost next to nothing."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock.model.attempts import AgentPoll, AttemptStatus
from penstock.model.work_pools import DEFAULT_POOL
from penstock.server.database.attempts import next_due_after, open_attempts_of, orphans, queues_for
from penstock.server.database.connection import Transaction
from penstock.server.database.tables import agent
from penstock.server.operations.choose_runs import Wish, choose_runs, is_paused
from penstock.server.operations.ensure_work_queue import find_pool_id
from penstock.server.operations.slot_topics import topic_of

_STANDING = sa.select(agent.c.lease_expires_at, agent.c.draining, agent.c.capabilities, agent.c.away).where(
    agent.c.id == sa.bindparam("agent_id")
)


@dataclass(frozen=True)
class Terms:
    """What holds for polls on this server. Seconds. `judge_leases`: whether a lease that ran out may be taken at its
    word."""

    lease: float = 15.0
    start_limit: float | None = 600.0
    judge_leases: bool = True


@dataclass(frozen=True)
class Look:
    """`act`: claiming would do something; `found`: it would bring a run. `topics`: what may change that. `next_due`: when
    to look again if nothing wakes us; None: no run is waiting."""

    act: bool
    found: bool
    topics: frozenset[str]
    next_due: datetime | None = None


def look_for_orders(tx: Transaction, poll: AgentPoll, terms: Terms) -> Look:
    """Look once. Raises NotFound if there is no such work pool."""
    queues = asked_queues(tx, poll)
    pool_ids = ids_of_pools(tx, poll, queues)
    mine = open_attempts_of(tx, poll.agent_id)
    until = tx.now + timedelta(seconds=poll.prefetch_seconds)
    topics = {f"queue:{queue.id}" for queue in queues} | {f"pool:{pool_id}" for pool_id in pool_ids.values()}
    if poll.ramp_up is not None:
        topics.add(f"attempt-started:{poll.agent_id}")
    act = (
        _must_register(tx, poll, terms)
        or bool(missing_queues(pool_ids, poll, queues))
        or _has_attempt_news(tx, poll, terms, mine)
    )
    found = False
    if not act and not poll.draining and capacity(poll, mine) > 0:
        # one run is enough to know that there is something to do
        choice = choose_runs(tx, queues, Wish(until, 1, tuple(poll.capabilities)), lock=False)
        act = found = bool(choice.runs)
        topics |= {topic_of(key) for key in choice.full}
    active = [queue.id for queue in queues if not is_paused(queue)]
    due = None if act or not poll.capacity else next_due_after(tx, active, until)
    return Look(act, found, frozenset(topics), due - timedelta(seconds=poll.prefetch_seconds) if due else None)


def asked_pools(poll: AgentPoll) -> list[str]:
    """The names of the pools whose queues are asked for."""
    return list(dict.fromkeys(poll.work_pools)) or [poll.work_pool or DEFAULT_POOL]


def asked_queues(tx: Transaction, poll: AgentPoll) -> Sequence[sa.Row[Any]]:
    return queues_for(tx, asked_pools(poll), poll.work_queues, poll.work_queue_prefixes)


def ids_of_pools(tx: Transaction, poll: AgentPoll, queues: Sequence[sa.Row[Any]]) -> dict[str, UUID]:
    """The pools that are asked, by name; `queues` are theirs. Raises NotFound if there is no such work pool."""
    known = {queue.pool_name: queue.work_pool_id for queue in queues}
    return {name: known[name] if name in known else find_pool_id(tx, name) for name in asked_pools(poll)}


def missing_queues(
    pool_ids: Mapping[str, UUID], poll: AgentPoll, queues: Collection[sa.Row[Any]]
) -> list[tuple[UUID, str]]:
    """The queues that were asked for by name and do not exist: their pools, their names."""
    known = {(queue.work_pool_id, queue.name) for queue in queues}
    asked = [(pool_id, name) for pool_id in pool_ids.values() for name in dict.fromkeys(poll.work_queues)]
    return [one for one in asked if one not in known]


def capacity(poll: AgentPoll, mine: Sequence[sa.Row[Any]]) -> int:
    """How many new attempts the agent may get that has these open ones: what it says, and never more than its limit and
    its ramp-up allow by our own count."""
    room = poll.capacity
    if poll.limit is not None:
        room = min(room, poll.limit - len(mine))
    if poll.ramp_up is not None:
        room = min(room, poll.ramp_up - sum(row.status != AttemptStatus.RUNNING for row in mine))
    return max(0, room)


def _must_register(tx: Transaction, poll: AgentPoll, terms: Terms) -> bool:
    """Whether the agent is new, has changed, or has used up a third of its lease."""
    row = tx.execute(_STANDING, {"agent_id": poll.agent_id}).one_or_none()
    if row is None or row.draining != poll.draining:
        return True
    if row.capabilities != poll.capabilities or row.away.keys() != poll.away.keys():
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
