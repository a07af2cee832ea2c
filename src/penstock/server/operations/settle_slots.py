"""What an engine's reports mean for the slots that its run holds."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock import settings
from penstock.model.states import StateType
from penstock.model.transitions import AWAITING_SLOT
from penstock.server.database.connection import Transaction
from penstock.server.database.slots import free_slots_of, slots_of_run
from penstock.server.database.tables import concurrency_slot


def settle_slots(tx: Transaction, flow_run_id: UUID, reported: Mapping[UUID, Mapping[str, Any]]) -> None:
    """Free the slots of the `reported` task runs (id -> row as it is now) that do not run any more, and renew leases.

    Leases are written anew when a third of them is used up.
    """
    slots = slots_of_run(tx, flow_run_id)
    if not slots:
        return
    free = {slot.holder_id for slot in slots if slot.holder_id in reported and _has_stopped(reported[slot.holder_id])}
    free_slots_of(tx, free)
    lease = float(settings.get("PENSTOCK_CONCURRENCY_LEASE_SECONDS"))
    stale = tx.now + timedelta(seconds=lease * 2 / 3)
    due = [slot.id for slot in slots if slot.expires_at and slot.expires_at < stale and slot.holder_id not in free]
    if due:
        values = {"expires_at": tx.now + timedelta(seconds=lease), "updated": tx.now}
        tx.execute(sa.update(concurrency_slot).where(concurrency_slot.c.id.in_(due)).values(values))


def _has_stopped(row: Mapping[str, Any]) -> bool:
    """Whether the task run neither runs nor is about to. Its slot may be granted before it is reported to wait for it."""
    kind, name = row["state_type"], row["state_name"]
    return kind not in (StateType.RUNNING, StateType.PENDING) and name != AWAITING_SLOT
