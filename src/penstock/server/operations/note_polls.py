"""Deployments learn when their work queue was last asked for."""

from datetime import timedelta

import sqlalchemy as sa

from penstock.server.database.connection import Transaction
from penstock.server.database.tables import deployment, work_queue
from penstock.server.database.turns import take_turn


def note_polls(tx: Transaction, within: float) -> int:
    """Copy the times of queues that were polled in the last `within` seconds. Returns how many deployments changed."""
    if not take_turn(tx, "foreman"):
        return 0
    since = tx.now - timedelta(seconds=within)
    polled = sa.select(work_queue.c.id).where(work_queue.c.last_polled > since)
    newest = sa.select(work_queue.c.last_polled).where(work_queue.c.id == deployment.c.work_queue_id).scalar_subquery()
    stale = sa.or_(deployment.c.last_polled.is_(None), deployment.c.last_polled < since)
    query = sa.update(deployment).where(deployment.c.work_queue_id.in_(polled), stale).values(last_polled=newest)
    return int(tx.execute(query).rowcount)
