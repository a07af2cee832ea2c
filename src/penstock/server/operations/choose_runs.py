"""Which due runs an agent gets next: pauses, limits, priorities, times."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock.server.database.attempts import next_due
from penstock.server.database.connection import Transaction
from penstock.server.database.due_runs import Passed, due_runs, lock_due_runs
from penstock.server.operations.free_slots import FreeSlots
from penstock.server.operations.skip_missed_runs import skip_missed, which_missed
from penstock.server.rules.choosing import Due, Key, choose

#: How many due runs are looked at together once limits hold some of them back.
PAGE = 200


@dataclass(frozen=True)
class Choice:
    """The runs that may start, and the limits for which due runs have to wait."""

    runs: list[sa.Row[Any]]
    full: frozenset[Key] = frozenset()


@dataclass(frozen=True)
class Wish:
    """What somebody could take: runs due by `until`, at most `room`, on infrastructure of `types` (none named: any)."""

    until: datetime
    room: int
    types: tuple[str, ...] = ()


def is_paused(queue: sa.Row[Any]) -> bool:
    return bool(queue.is_paused or queue.pool_is_paused)


def choose_runs(tx: Transaction, queues: Sequence[sa.Row[Any]], wish: Wish, *, lock: bool) -> Choice:
    """The runs of `queues` that fit `wish`, in their order: see `rules.choosing`.

    `lock`: the runs are whole and locked until the transaction is over, and so is the counting of the limits; runs that
    another transaction holds are skipped.
    """
    active = [queue for queue in queues if not is_paused(queue)]
    if wish.room <= 0 or not active:
        return Choice([])
    due = next_due(tx, [queue.id for queue in active])
    waiting = [queue for queue in active if queue.id in due and due[queue.id] <= wish.until]
    if not waiting:
        return Choice([])
    waiting.sort(key=lambda queue: (queue.priority, due[queue.id]))
    free = FreeSlots(tx, waiting, lock=lock)
    chooser = _Chooser(tx, free, wish, lock)
    for _, group in groupby(waiting, key=lambda queue: queue.priority):
        chooser.serve(list(group), due)
        if len(chooser.chosen) >= wish.room:
            break
    # written last: what is locked by that is not to be held while the locks of limits are waited for
    skip_missed(tx, chooser.missed)
    return Choice(chooser.chosen, free.full())


class _Chooser:
    """Goes through queues of falling priority and keeps what it has chosen."""

    def __init__(self, tx: Transaction, free: FreeSlots, wish: Wish, lock: bool) -> None:
        self._tx, self._free, self._wish, self._lock = tx, free, wish, lock
        self._met: set[UUID] = set()
        self.chosen: list[sa.Row[Any]] = []
        self.missed: list[sa.Row[Any]] = []

    def serve(self, queues: list[sa.Row[Any]], heads: dict[UUID, datetime]) -> None:
        """Choose from queues of equal priority, which are sorted by `heads`, when their first runs are due."""
        least = self._wish.room
        while len(self.chosen) < self._wish.room:
            rows, more = self._look(queues, heads, least)
            self._free.learn(rows)
            limits = {row.id: self._free.limits_of(row) for row in rows}
            due = [Due(row.id, 0, row.next_scheduled_start_time, limits[row.id]) for row in rows]
            wanted = [run.id for run in choose(due, self._free.slots, self._wish.room - len(self.chosen))]
            self._met.update(wanted)
            kept = self._kept(rows, wanted)
            for row in kept:
                self._free.take(limits[row.id])
            self.chosen += kept
            if not more and len(kept) == len(wanted):
                break
            least = PAGE

    def _look(
        self, queues: list[sa.Row[Any]], heads: dict[UUID, datetime], least: int
    ) -> tuple[list[sa.Row[Any]], bool]:
        """The next due runs of the queues, and whether there may be more that could start."""
        room = self._wish.room - len(self.chosen)
        passed = Passed(
            runs=self._met,
            deployments=self._free.full_ones("deployment"),
            schedules=self._free.full_ones("schedule"),
            tags=self._free.full_ones("tag"),
            types=self._wish.types,
        )
        found: list[sa.Row[Any]] = []
        more = False
        for queue in queues:
            if (
                len(found) >= room
                and heads[queue.id] > sorted(row.next_scheduled_start_time for row in found)[room - 1]
            ):
                # all that this queue and those after it hold is due later than enough others
                return found, True
            if self._free.of_queue(queue) <= 0:
                continue
            wanted = max(least, room)
            rows = due_runs(self._tx, queue.id, self._wish.until, wanted, passed)
            more = more or len(rows) == wanted
            found += rows
        return found, more

    def _kept(self, rows: Iterable[sa.Row[Any]], wanted: Sequence[UUID]) -> list[sa.Row[Any]]:
        """The rows of these runs, in that order; with locks, of those of them that are nobody else's by now, and whose
        schedules still want them."""
        locked = lock_due_runs(self._tx, wanted, self._wish.until) if self._lock else rows
        found = {row.id: row for row in locked}
        if self._lock:
            self.missed += [found.pop(run_id) for run_id in which_missed(self._tx, list(found.values()))]
        return [found[run_id] for run_id in wanted if run_id in found]
