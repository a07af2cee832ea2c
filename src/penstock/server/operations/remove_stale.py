"""Records that nobody will ask for again are removed."""

from datetime import timedelta

import sqlalchemy as sa

from penstock.server.database.attempts import OPEN
from penstock.server.database.connection import Transaction
from penstock.server.database.tables import (
    agent,
    attempt,
    concurrency_slot,
    notification_delivery,
    report_stream,
    task_run_state_cache,
)
from penstock.server.database.turns import take_turn

#: Days after which a stream of reports is over for good: longer than any engine keeps reports for a lost API.
STREAM_DAYS = 7
#: Days after which an agent that has not polled is forgotten.
AGENT_DAYS = 7
#: Days for which it is kept what became of a message.
DELIVERY_DAYS = 14
BATCH = 1000


def remove_stale(tx: Transaction) -> int:
    """Remove one batch of each kind; returns how many went. Agents that still have open attempts stay."""
    if not take_turn(tx, "cleanup"):
        return 0
    streams = (
        sa.select(report_stream.c.stream)
        .where(report_stream.c.updated < tx.now - timedelta(days=STREAM_DAYS))
        .limit(BATCH)
    )
    holds = sa.exists().where(attempt.c.agent_id == agent.c.id, OPEN)
    agents = sa.select(agent.c.id).where(agent.c.last_polled < tx.now - timedelta(days=AGENT_DAYS), ~holds).limit(BATCH)
    cached = (
        sa.select(task_run_state_cache.c.cache_key).where(task_run_state_cache.c.cache_expiration < tx.now).limit(BATCH)
    )
    leases = (
        sa.select(concurrency_slot.c.id).where(concurrency_slot.c.expires_at < tx.now - timedelta(days=1)).limit(BATCH)
    )
    delivery = notification_delivery.c
    deliveries = (
        sa.select(delivery.id)
        .where(delivery.updated < tx.now - timedelta(days=DELIVERY_DAYS), delivery.due_at.is_(None))
        .limit(BATCH)
    )
    removed = 0
    for column, gone in (
        (report_stream.c.stream, streams),
        (agent.c.id, agents),
        (task_run_state_cache.c.cache_key, cached),
        (concurrency_slot.c.id, leases),
        (delivery.id, deliveries),
    ):
        removed += tx.execute(sa.delete(column.table).where(column.in_(gone))).rowcount
    return removed
