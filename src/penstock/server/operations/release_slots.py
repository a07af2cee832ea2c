"""Slots are given back, or held for longer."""

from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa

from penstock.model.concurrency_limits import SlotRenewal
from penstock.server.database.connection import Transaction
from penstock.server.database.slots import free_slots_of
from penstock.server.database.tables import concurrency_slot


def release_slots(tx: Transaction, holders: Collection[UUID]) -> int:
    """Free what these hold. Who holds nothing is passed over."""
    return free_slots_of(tx, holders)


def renew_slots(tx: Transaction, holders: Collection[UUID], lease: float) -> SlotRenewal:
    """Hold what these hold for `lease` seconds from now."""
    table = concurrency_slot
    until = tx.now + timedelta(seconds=lease)
    mine = table.c.holder_id.in_(list(holders))
    tx.execute(sa.update(table).where(mine, table.c.expires_at.is_not(None)).values(expires_at=until, updated=tx.now))
    found = set(tx.execute(sa.select(table.c.holder_id).where(mine)).scalars())
    return SlotRenewal(lost=[holder for holder in holders if holder not in found], lease_seconds=lease)
