"""Which due runs an agent gets next: pauses, limits, priorities, times."""

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

import sqlalchemy as sa

from penstock.server.database.attempts import due_runs, lock_limited, next_due, slots_taken
from penstock.server.database.connection import Transaction
from penstock.server.database.tables import attempt


def is_paused(queue: sa.Row[Any]) -> bool:
    return bool(queue.is_paused or queue.pool_is_paused)


def choose_runs(
    tx: Transaction, queues: Sequence[sa.Row[Any]], until: datetime, capacity: int, *, lock: bool
) -> list[sa.Row[Any]]:
    """At most `capacity` runs that are due by `until`: the queue's priority first (1 before 2), then time, then id.

    `queues` are those of one pool, by priority. `lock`: the runs, and the pool and queues whose limits were counted,
    are locked
    until the transaction is over; runs that another one holds are skipped.
    """
    active = [queue for queue in queues if not is_paused(queue)]
    if capacity <= 0 or not active:
        return []
    due = next_due(tx, [queue.id for queue in active])
    waiting = [queue for queue in active if queue.id in due and due[queue.id] <= until]
    if not waiting:
        return []
    free = _free_slots(tx, waiting, lock)
    room = min(capacity, free[waiting[0].work_pool_id])
    chosen: list[sa.Row[Any]] = []
    for _, group in groupby(waiting, key=lambda queue: queue.priority):
        found: list[sa.Row[Any]] = []
        for queue in group:
            wanted = min(room, free[queue.id])
            if wanted > 0:
                found += due_runs(tx, queue.id, until, wanted, lock=lock)
        found.sort(key=lambda run: (run.next_scheduled_start_time, run.id))
        chosen += found[:room]
        room -= len(found[:room])
        if room <= 0:
            break
    return chosen


def _free_slots(tx: Transaction, queues: list[sa.Row[Any]], lock: bool) -> dict[Any, int]:
    """Free slots per queue id, and of their pool by its id. No limit: as good as endless."""
    endless = 1 << 30
    limits = {queue.id: queue.concurrency_limit for queue in queues if queue.concurrency_limit is not None}
    pools = {queue.work_pool_id: queue.pool_limit for queue in queues if queue.pool_limit is not None}
    if lock:
        lock_limited(tx, pools, limits)
    free = {queue.id: endless for queue in queues} | {queue.work_pool_id: endless for queue in queues}
    for column, limited in ((attempt.c.work_queue_id, limits), (attempt.c.work_pool_id, pools)):
        if limited:
            taken = slots_taken(tx, column, limited)
            free |= {key: max(0, limit - taken.get(key, 0)) for key, limit in limited.items()}
    return free
