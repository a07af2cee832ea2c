"""Slots that are taken and given back without a holder, as clients of Prefect 2 do: only their number is kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from penstock.errors import Invalid
from penstock.model.concurrency_limits import MinimalConcurrencyLimit, SlotDecrement, SlotIncrement, SlotMode
from penstock.server.database.connection import Transaction
from penstock.server.database.slots import TOPIC, lock_global_limits
from penstock.server.database.tables import concurrency_limit_v2 as table
from penstock.server.operations.read_global_concurrency_limits import taken_of
from penstock.server.rules.concurrency import (
    EPSILON,
    Room,
    ask_again_after,
    average_occupancy,
    decayed,
    seconds_until_free,
)


@dataclass(frozen=True)
class Increment:
    """`retry_after`: nothing was taken, ask again after so many seconds."""

    limits: list[MinimalConcurrencyLimit]
    retry_after: float | None = None


def increment_slots(tx: Transaction, asked: SlotIncrement) -> Increment:
    """Take slots of every limit that is named, exists and is active, or of none.

    Raises Invalid when no waiting can help.
    """
    rows = [row for row in lock_global_limits(tx, asked.names) if row.active]
    _check(rows, asked)
    taken = taken_of(tx, rows)
    waits = []
    for row in rows:
        room = Room(row.limit, taken[row.id])
        if room.free + EPSILON < asked.slots:
            loose = decayed(row.slots, row.slots_at, row.slot_decay_per_second, tx.now)
            free_in = seconds_until_free(room, asked.slots, loose, row.slot_decay_per_second)
            waits.append(ask_again_after(free_in, row.avg_slot_occupancy_seconds, row.limit))
            values = {"denied_slots": row.denied_slots + asked.slots}
            tx.execute(sa.update(table).where(table.c.id == row.id).values(values))
    if waits:
        return Increment(_minimal(rows), max(waits))
    for row in rows:
        _count(tx, row, asked.slots)
    return Increment(_minimal(rows))


def decrement_slots(tx: Transaction, asked: SlotDecrement) -> list[MinimalConcurrencyLimit]:
    """Give slots back that were taken without a holder."""
    rows = [row for row in lock_global_limits(tx, asked.names) if row.active]
    for row in rows:
        seconds = asked.occupancy_seconds
        average = row.avg_slot_occupancy_seconds
        _count(tx, row, -asked.slots, average if seconds is None else average_occupancy(average, seconds, row.limit))
    if rows:
        tx.notify(TOPIC)
    return _minimal(rows)


def _check(rows: Sequence[sa.Row[Any]], asked: SlotIncrement) -> None:
    for row in rows:
        if 0 < row.limit < asked.slots:
            raise Invalid(f"{asked.slots} slots of {row.name!r} were asked for, but there are only {row.limit}")
        if asked.mode is SlotMode.RATE_LIMIT and row.slot_decay_per_second <= 0:
            raise Invalid(
                f"The concurrency limit {row.name!r} cannot limit a rate, because its slots do not decay",
                hint="Set its slot_decay_per_second.",
            )


def _count(tx: Transaction, row: sa.Row[Any], slots: int, occupancy: float | None = None) -> None:
    now = max(0.0, decayed(row.slots, row.slots_at, row.slot_decay_per_second, tx.now) + slots)
    values: dict[str, Any] = {"slots": now, "slots_at": tx.now}
    if occupancy is not None:
        values["avg_slot_occupancy_seconds"] = occupancy
    tx.execute(sa.update(table).where(table.c.id == row.id).values(values))


def _minimal(rows: Sequence[sa.Row[Any]]) -> list[MinimalConcurrencyLimit]:
    return [MinimalConcurrencyLimit(id=row.id, name=row.name, limit=row.limit) for row in rows]
