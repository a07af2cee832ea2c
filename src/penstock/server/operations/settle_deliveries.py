"""How a try ended; and messages whose notifier process is still at work, or is gone."""

from collections.abc import Collection
from datetime import timedelta
from random import random
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock.model.notifications import DeliveryOutcome, DeliveryStatus
from penstock.server.database.connection import Transaction
from penstock.server.database.rows import clean
from penstock.server.database.tables import notification_delivery as delivery
from penstock.server.operations.claim_deliveries import Terms, log_given_up
from penstock.server.rules.notifications import wait_after

_D = delivery.c
#: Seconds after its making at which a message that failed is given up.
GIVE_UP_SECONDS = 86_400.0
#: Most characters of an error that are kept.
LONGEST_ERROR = 2_000


def settle_deliveries(tx: Transaction, holder_id: UUID, outcomes: Collection[DeliveryOutcome], terms: Terms) -> int:
    """Write down how tries ended; returns how many. What somebody else has taken since is left to them."""
    settled = 0
    for outcome in outcomes:
        held = (_D.id == outcome.id, _D.holder_id == holder_id, _D.status == DeliveryStatus.SENDING)
        row = tx.execute(sa.select(delivery).where(*held).with_for_update()).one_or_none()
        if row is not None:
            values = {**_values_after(tx, row, outcome, terms), "holder_id": None, "updated": tx.now}
            tx.execute(sa.update(delivery).where(_D.id == row.id).values(values))
            settled += 1
    return settled


def _values_after(tx: Transaction, row: sa.Row[Any], outcome: DeliveryOutcome, terms: Terms) -> dict[str, Any]:
    if outcome.error is None:
        return {"status": DeliveryStatus.SENT, "due_at": None, "error": None}
    error = (clean(outcome.error) or "")[:LONGEST_ERROR]
    due = tx.now + timedelta(seconds=wait_after(row.tries, terms.first_wait, outcome.retry_after, random()))
    too_late = (due - row.created).total_seconds() > GIVE_UP_SECONDS
    if row.tries >= terms.tries or too_late or row.flow_run_id is None:
        log_given_up(row, error)
        return {"status": DeliveryStatus.FAILED, "due_at": None, "error": error}
    return {"status": DeliveryStatus.WAITING, "due_at": due, "error": error}


def renew_deliveries(tx: Transaction, holder_id: UUID, delivery_ids: Collection[UUID], terms: Terms) -> None:
    """Its notifier process is still at work on these."""
    tx.execute(
        sa.update(delivery)
        .where(_D.id.in_(delivery_ids), _D.holder_id == holder_id, _D.status == DeliveryStatus.SENDING)
        .values(due_at=tx.now + timedelta(seconds=terms.lease))
    )


def release_deliveries(tx: Transaction, holder_id: UUID, error: str, first_wait: float) -> int:
    """The notifier process is gone, and nobody knows whether it has sent what it had: that is tried again, soon. Returns how many.

    `first_wait`: as in `Terms`; a message that ends every process shall not keep the server busy with starting them.
    """
    held = (_D.holder_id == holder_id, _D.status == DeliveryStatus.SENDING)
    rows = tx.execute(sa.select(delivery).where(*held).with_for_update()).all()
    for row in rows:
        due = tx.now + timedelta(seconds=wait_after(row.tries, first_wait, None, random()))
        values = {"status": DeliveryStatus.WAITING, "due_at": due, "holder_id": None, "error": error, "updated": tx.now}
        tx.execute(sa.update(delivery).where(_D.id == row.id).values(values))
    return len(rows)
