"""Limits of concurrency and the rows of their slots: statements only, no decisions."""

from collections.abc import Collection, Iterable
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock.server.database.connection import Transaction
from penstock.server.database.tables import concurrency_limit, concurrency_limit_v2, concurrency_slot

#: Published when slots came free or a limit changed.
TOPIC = "slots"

_OF_RUN = sa.select(concurrency_slot.c.id, concurrency_slot.c.holder_id, concurrency_slot.c.expires_at).where(
    concurrency_slot.c.flow_run_id == sa.bindparam("run_id")
)
_FREE_RUN = sa.delete(concurrency_slot).where(concurrency_slot.c.flow_run_id == sa.bindparam("run_id"))
_FREE_HOLDER = sa.delete(concurrency_slot).where(concurrency_slot.c.holder_id == sa.bindparam("holder"))


def slots_of_run(tx: Transaction, flow_run_id: UUID) -> list[sa.Row[Any]]:
    """Id, holder and expiry of the slots that are given back when the run is over."""
    return list(tx.execute(_OF_RUN, {"run_id": flow_run_id}).all())


def free_slots_of_run(tx: Transaction, flow_run_id: UUID) -> None:
    """The run is over, or its process is: whatever was held within it is free."""
    if tx.execute(_FREE_RUN, {"run_id": flow_run_id}).rowcount:
        tx.notify(TOPIC)


def free_slots_of(tx: Transaction, holders: Collection[UUID]) -> int:
    """Free what these hold. Returns how many slots of limits that were."""
    freed = 0
    if len(holders) == 1:
        freed = tx.execute(_FREE_HOLDER, {"holder": next(iter(holders))}).rowcount
    elif holders:
        freed = tx.execute(sa.delete(concurrency_slot).where(concurrency_slot.c.holder_id.in_(list(holders)))).rowcount
    if freed:
        tx.notify(TOPIC)
    return freed


def lock_tag_limits(tx: Transaction, tags: Iterable[str]) -> list[sa.Row[Any]]:
    """Id, tag and limit of those of `tags` that are limited: nobody else counts their slots until the end."""
    listed = sorted(set(tags))
    if not listed:
        return []
    table = concurrency_limit
    statement = sa.select(table.c.id, table.c.tag, table.c.concurrency_limit).where(table.c.tag.in_(listed))
    return list(tx.execute(statement.order_by(table.c.id).with_for_update()).all())


def lock_global_limits(tx: Transaction, names: Iterable[str]) -> list[sa.Row[Any]]:
    """The rows of those of `names` that exist, locked."""
    listed = sorted(set(names))
    if not listed:
        return []
    table = concurrency_limit_v2
    return list(tx.execute(sa.select(table).where(table.c.name.in_(listed)).order_by(table.c.id).with_for_update()))


def slots_of_limits(tx: Transaction, limit_ids: Collection[UUID]) -> list[sa.Row[Any]]:
    """Every row of slots of these limits, expired ones too."""
    if not limit_ids:
        return []
    return list(tx.execute(sa.select(concurrency_slot).where(concurrency_slot.c.limit_id.in_(list(limit_ids)))))
