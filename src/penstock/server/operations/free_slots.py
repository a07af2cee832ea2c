"""How many slots the limits have left that stand before the runs of some queues: counted when first needed."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock.server.database.connection import Transaction
from penstock.server.database.live_runs import (
    live_limited,
    lock_limited,
    lock_limits_across_queues,
    slots_taken,
    tag_limits,
    tags_taken,
)
from penstock.server.database.tables import attempt
from penstock.server.rules.choosing import Key

#: As good as endless.
ENDLESS = 1 << 30


class FreeSlots:
    """`slots` has the free slots of each limit that is known so far. With `lock`, nobody else counts them meanwhile."""

    def __init__(self, tx: Transaction, queues: Sequence[sa.Row[Any]], *, lock: bool) -> None:
        self._tx, self._lock = tx, lock
        self._counted: set[str] = set()
        self._locked_across = False
        self._pools = {queue.id: queue.work_pool_id for queue in queues}
        self.slots: dict[Key, int] = {}
        limits = {queue.id: queue.concurrency_limit for queue in queues if queue.concurrency_limit is not None}
        pools = {queue.work_pool_id: queue.pool_limit for queue in queues if queue.pool_limit is not None}
        if lock:
            lock_limited(tx, pools, limits)
        self._count("queue", attempt.c.work_queue_id, limits)
        self._count("pool", attempt.c.work_pool_id, pools)
        self._tags = tag_limits(tx)
        if self._tags:
            self._lock_across()
            taken = tags_taken(tx, self._tags)
            self.slots |= {("tag", tag): limit - taken.get(tag, 0) for tag, limit in self._tags.items()}

    def _count(self, kind: str, column: sa.Column[UUID], limits: dict[UUID, int]) -> None:
        if limits:
            taken = slots_taken(self._tx, column, limits)
            self.slots |= {(kind, one): limit - taken.get(one, 0) for one, limit in limits.items()}

    def _lock_across(self) -> None:
        if self._lock and not self._locked_across:
            lock_limits_across_queues(self._tx)
            self._locked_across = True

    def learn(self, rows: Sequence[sa.Row[Any]]) -> None:
        """Know the limits of the deployments and schedules of these due runs: of all that have live runs, once one is
        limited."""
        deployments = {row.deployment_id: row.deployment_limit for row in rows if row.deployment_limit is not None}
        schedules = {row.schedule_id: row.schedule_limit for row in rows if row.schedule_limit is not None}
        for kind, limited in (("deployment", deployments), ("schedule", schedules)):
            if limited and kind not in self._counted:
                self._lock_across()
                self.slots |= {(kind, row.id): row.limit - row.taken for row in live_limited(self._tx, kind)}
                self._counted.add(kind)
            for one, limit in limited.items():
                self.slots.setdefault((kind, one), limit)

    def limits_of(self, row: sa.Row[Any]) -> tuple[Key, ...]:
        """The limits that a due run counts against."""
        keys: list[Key] = [("queue", row.work_queue_id), ("pool", self._pools[row.work_queue_id])]
        if row.deployment_limit is not None:
            keys.append(("deployment", row.deployment_id))
        if row.schedule_limit is not None:
            keys.append(("schedule", row.schedule_id))
        keys += [("tag", tag) for tag in dict.fromkeys(row.tags) if tag in self._tags]
        return tuple(key for key in keys if key in self.slots)

    def take(self, limits: Sequence[Key]) -> None:
        """A run has taken a slot of each of `limits`."""
        for key in limits:
            self.slots[key] -= 1

    def of_queue(self, queue: sa.Row[Any]) -> int:
        """How many runs of the queue may start as far as its own limit and that of its pool go."""
        return min(self.slots.get(key, ENDLESS) for key in (("queue", queue.id), ("pool", queue.work_pool_id)))

    def full_ones(self, kind: str) -> Collection[Any]:
        """Which of the limits of a kind have no slot left."""
        return [one for (of, one), free in self.slots.items() if of == kind and free <= 0]

    def full(self) -> frozenset[Key]:
        """All limits that have no slot left."""
        return frozenset(key for key, free in self.slots.items() if free <= 0)
