"""Take messages that are due, so that nobody else sends them meanwhile, and write what they say."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock.errors import PenstockError
from penstock.model.notifications import DeliveryOrder, DeliveryStatus
from penstock.server.database.connection import Transaction
from penstock.server.database.statements import read_row
from penstock.server.database.tables import flow_run_notification_policy as policy_table
from penstock.server.database.tables import notification_delivery as delivery
from penstock.server.database.turns import take_turn
from penstock.server.operations.compose_message import compose_message
from penstock.server.operations.read_block_documents import read_block_document
from penstock.server.rules.notifications import share_out

_log = logging.getLogger("penstock.server.notifications")

Conditions = tuple[sa.ColumnElement[bool], ...]
_D = delivery.c
#: Policies that one transaction looks at.
BATCH = 50


@dataclass(frozen=True)
class Terms:
    """What holds for messages on this server. `limit` messages of a policy in `span` seconds; `tries` of one message; the
    first wait between them and the lease of one that is under way, in seconds; `ui_url`: where links lead."""

    limit: int = 10
    span: float = 60.0
    tries: int = 12
    first_wait: float = 10.0
    lease: float = 30.0
    ui_url: str = ""


def log_given_up(row: sa.Row[Any], error: str) -> None:
    """Tell the operator, too: whoever would have been told is not."""
    _log.warning("Notification policy %s: a message was given up after %d tries: %s", row.policy_id, row.tries, error)


def next_due(tx: Transaction) -> datetime | None:
    """When a message has to be looked after next; None if there is none."""
    found: datetime | None = tx.execute(sa.select(sa.func.min(_D.due_at)).where(_D.due_at.is_not(None))).scalar_one()
    return found


def claim_deliveries(tx: Transaction, holder_id: UUID, room: int, terms: Terms) -> list[DeliveryOrder]:
    """At most `room` messages that are due, in the order of their making and no more of a policy than `terms` allow.

    `holder_id` has them from now on, and the lease holds until it is over or settled. What cannot be sent, because its run
    or notifier is gone, is settled at once.
    """
    if not take_turn(tx, "notifications"):
        return []
    orders: list[DeliveryOrder] = []
    for policy_id in _policies_with_due(tx):
        for row in _choose(tx, policy_id, room - len(orders), terms):
            order = _take(tx, row, holder_id, terms)
            if order is not None:
                orders.append(order)
        if len(orders) >= room:
            break
    return orders


def _policies_with_due(tx: Transaction) -> list[UUID]:
    """Those with the longest waiting message first."""
    found = tx.execute(
        sa.select(_D.policy_id)
        .where(_D.due_at <= tx.now)
        .group_by(_D.policy_id)
        .order_by(sa.func.min(_D.due_at))
        .limit(BATCH)
    )
    return list(found.scalars())


def _choose(tx: Transaction, policy_id: UUID, room: int, terms: Terms) -> Iterator[sa.Row[Any]]:
    """The rows whose messages go out now. What is over the limit is gathered into one of them, or waits."""
    due: Conditions = (_D.policy_id == policy_id, _D.due_at <= tx.now)
    tests = tx.execute(sa.select(delivery).where(*due, _D.flow_run_id.is_(None)).limit(room)).all()
    yield from tests
    due = (*due, _D.flow_run_id.is_not(None))
    total = tx.execute(sa.select(sa.func.count()).where(*due)).scalar_one()
    if total == 0 or len(tests) >= room:
        return
    allowance, free_at = _allowance(tx, policy_id, terms)
    if allowance < 1:
        tx.execute(sa.update(delivery).where(*due).values(due_at=free_at))
        return
    share = share_out(total, allowance, room - len(tests))
    wanted = sa.select(delivery).where(*due).order_by(_D.created, _D.id).limit(share.alone + share.gather)
    rows = tx.execute(wanted).all()
    if share.gather:
        _gather(tx, due, rows)
    yield from rows


def _allowance(tx: Transaction, policy_id: UUID, terms: Terms) -> tuple[int, datetime]:
    """How many messages the policy may send now, and when it may send the next one if that is none."""
    since = tx.now - timedelta(seconds=terms.span)
    tried = tx.execute(
        sa.select(_D.tried_at)
        .where(_D.policy_id == policy_id, _D.tried_at > since, _D.flow_run_id.is_not(None))
        .order_by(_D.tried_at.desc())
        .limit(terms.limit)
    ).scalars()
    times = list(tried)
    oldest = times[-1] if times else tx.now
    return terms.limit - len(times), oldest + timedelta(seconds=terms.span)


def _gather(tx: Transaction, due: Conditions, rows: Sequence[sa.Row[Any]]) -> None:
    """All that is due beside `rows` is told by the message of the last of them, with what was gathered into it before."""
    leader, chosen = rows[-1].id, [row.id for row in rows]
    others = (*due, _D.id.not_in(chosen))
    tx.execute(
        sa.update(delivery)
        .where(_D.gathered_into.in_(sa.select(_D.id).where(*others)))
        .values(gathered_into=leader, updated=tx.now)
    )
    tx.execute(
        sa.update(delivery)
        .where(*others)
        .values(status=DeliveryStatus.GATHERED, gathered_into=leader, due_at=None, holder_id=None, updated=tx.now)
    )


def _take(tx: Transaction, row: sa.Row[Any], holder_id: UUID, terms: Terms) -> DeliveryOrder | None:
    """The order for a row; None if it is settled instead."""
    if row.tries >= terms.tries:
        _fail(tx, row, "It was tried as often as it may be, and nobody said how the last try ended.")
        return None
    try:
        policy = read_row(tx, policy_table, row.policy_id)
        message = compose_message(tx, row, policy, terms.ui_url) if policy is not None else None
        if policy is None or message is None:
            _fail(tx, row, "The run was deleted before it was told.")
            return None
        document = read_block_document(tx, policy.block_document_id, include_secrets=True)
    except PenstockError as error:
        _fail(tx, row, error.message)
        return None
    changed = {
        "status": DeliveryStatus.SENDING,
        "tries": row.tries + 1,
        "tried_at": tx.now,
        "due_at": tx.now + timedelta(seconds=terms.lease),
        "holder_id": holder_id,
        "updated": tx.now,
    }
    tx.execute(sa.update(delivery).where(_D.id == row.id).values(changed))
    return DeliveryOrder(id=row.id, document=document, subject=message.subject, body=message.body)


def _fail(tx: Transaction, row: sa.Row[Any], error: str) -> None:
    log_given_up(row, error)
    settled = {"status": DeliveryStatus.FAILED, "due_at": None, "holder_id": None, "error": error, "updated": tx.now}
    tx.execute(sa.update(delivery).where(_D.id == row.id).values(settled))
