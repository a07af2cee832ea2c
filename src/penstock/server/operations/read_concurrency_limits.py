"""Tag limits, and who holds their slots."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock.errors import NotFound, did_you_mean
from penstock.model.concurrency_limits import ConcurrencyLimit, ConcurrencyLimitList, SlotHolder
from penstock.model.filters import MAX_LIMIT
from penstock.server.database.connection import Transaction
from penstock.server.database.slots import slots_of_limits
from penstock.server.database.tables import concurrency_limit


def read_concurrency_limit(tx: Transaction, limit_id: UUID) -> ConcurrencyLimit:
    """Raises NotFound."""
    row = tx.execute(sa.select(concurrency_limit).where(concurrency_limit.c.id == limit_id)).one_or_none()
    if row is None:
        raise NotFound(f"There is no concurrency limit {limit_id}")
    return _limits(tx, [row])[0]


def read_concurrency_limit_by_tag(tx: Transaction, tag: str) -> ConcurrencyLimit:
    """Raises NotFound with the nearest tag that is limited."""
    row = tx.execute(sa.select(concurrency_limit).where(concurrency_limit.c.tag == tag)).one_or_none()
    if row is None:
        raise NotFound(f"The tag {tag!r} has no concurrency limit.{did_you_mean(tag, read_limited_tags(tx))}")
    return _limits(tx, [row])[0]


def read_concurrency_limits(tx: Transaction, asked: ConcurrencyLimitList) -> list[ConcurrencyLimit]:
    """The newest first."""
    limit = MAX_LIMIT if asked.limit is None else asked.limit
    newest = (concurrency_limit.c.created.desc(), concurrency_limit.c.id)
    return _limits(
        tx, tx.execute(sa.select(concurrency_limit).order_by(*newest).limit(limit).offset(asked.offset)).all()
    )


def read_limited_tags(tx: Transaction) -> list[str]:
    """Every tag that has a limit."""
    return list(tx.execute(sa.select(concurrency_limit.c.tag)).scalars())


def read_slot_holders(tx: Transaction, limit_id: UUID) -> list[SlotHolder]:
    """Who holds slots of the limit, of either kind, for the longest time first."""
    rows = sorted(slots_of_limits(tx, [limit_id]), key=lambda row: (row.created, row.id))
    return [
        SlotHolder.model_validate({**row._mapping, "since": row.created})
        for row in rows
        if row.expires_at is None or row.expires_at > tx.now
    ]


def _limits(tx: Transaction, rows: Iterable[sa.Row[Any]]) -> list[ConcurrencyLimit]:
    listed = list(rows)
    holders: dict[UUID, list[UUID]] = {row.id: [] for row in listed}
    for slot in slots_of_limits(tx, list(holders)):
        if slot.expires_at is None or slot.expires_at > tx.now:
            holders[slot.limit_id].append(slot.holder_id)
    return [ConcurrencyLimit.model_validate({**row._mapping, "active_slots": holders[row.id]}) for row in listed]
