"""Limits with a name, and how much of them is taken."""

import math
from collections.abc import Iterable
from contextlib import suppress
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock.errors import NotFound, did_you_mean
from penstock.model.concurrency_limits import ConcurrencyLimitList, GlobalConcurrencyLimit
from penstock.model.filters import MAX_LIMIT
from penstock.server.database.connection import Transaction
from penstock.server.database.slots import slots_of_limits
from penstock.server.database.tables import concurrency_limit_v2
from penstock.server.rules.concurrency import EPSILON, decayed


def find_global_limit(tx: Transaction, id_or_name: str) -> sa.Row[Any]:
    """The row of the limit, locked in a transaction that writes. Raises NotFound with the nearest name."""
    table = concurrency_limit_v2
    condition = table.c.name == id_or_name
    with suppress(ValueError):
        condition = sa.or_(condition, table.c.id == UUID(id_or_name))
    row = tx.execute(sa.select(table).where(condition).limit(1).with_for_update()).one_or_none()
    if row is None:
        names = tx.execute(sa.select(table.c.name)).scalars()
        raise NotFound(f"There is no concurrency limit {id_or_name!r}.{did_you_mean(id_or_name, names)}")
    return row


def read_global_concurrency_limit(tx: Transaction, id_or_name: str) -> GlobalConcurrencyLimit:
    """Raises NotFound with the nearest name."""
    return _limits(tx, [find_global_limit(tx, id_or_name)])[0]


def read_global_concurrency_limits(tx: Transaction, asked: ConcurrencyLimitList) -> list[GlobalConcurrencyLimit]:
    """In the order of their names."""
    limit = MAX_LIMIT if asked.limit is None else asked.limit
    ordered = sa.select(concurrency_limit_v2).order_by(concurrency_limit_v2.c.name).limit(limit).offset(asked.offset)
    return _limits(tx, tx.execute(ordered).all())


def taken_of(tx: Transaction, rows: Iterable[sa.Row[Any]]) -> dict[UUID, float]:
    """How many slots of each of these limits are taken now, with and without a holder."""
    taken = {row.id: decayed(row.slots, row.slots_at, row.slot_decay_per_second, tx.now) for row in rows}
    for slot in slots_of_limits(tx, list(taken)):
        if slot.expires_at is None or slot.expires_at > tx.now:
            taken[slot.limit_id] += slot.slots
    return taken


def _limits(tx: Transaction, rows: Iterable[sa.Row[Any]]) -> list[GlobalConcurrencyLimit]:
    listed = list(rows)
    taken = taken_of(tx, listed)
    return [
        GlobalConcurrencyLimit.model_validate({**row._mapping, "active_slots": math.ceil(taken[row.id] - EPSILON)})
        for row in listed
    ]
