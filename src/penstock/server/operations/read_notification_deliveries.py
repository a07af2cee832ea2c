from uuid import UUID

import sqlalchemy as sa

from penstock.model.notifications import DeliveryStatus, NotificationDelivery
from penstock.server.database import tables as t
from penstock.server.database.connection import Transaction
from penstock.server.operations.read_notification_policies import read_notification_policy


def read_notification_deliveries(tx: Transaction, policy_id: UUID, limit: int) -> list[NotificationDelivery]:
    """The newest messages of a policy first, without those that another message tells of. Raises NotFound."""
    read_notification_policy(tx, policy_id)
    delivery = t.notification_delivery
    inner = delivery.alias()
    gathered = (
        sa.select(sa.func.count()).select_from(inner).where(inner.c.gathered_into == delivery.c.id).scalar_subquery()
    )
    found = tx.execute(
        sa.select(
            delivery,
            gathered.label("gathered"),
            t.flow_run.c.name.label("flow_run_name"),
            t.flow_run_state.c.name.label("state_name"),
        )
        .outerjoin(t.flow_run, t.flow_run.c.id == delivery.c.flow_run_id)
        .outerjoin(t.flow_run_state, t.flow_run_state.c.id == delivery.c.state_id)
        .where(delivery.c.policy_id == policy_id, delivery.c.status != DeliveryStatus.GATHERED)
        .order_by(delivery.c.created.desc(), delivery.c.id.desc())
        .limit(limit)
    )
    return [_delivery(row) for row in found]


def _delivery(row: sa.Row[tuple[object, ...]]) -> NotificationDelivery:
    values = dict(row._mapping)
    waits = values["status"] == DeliveryStatus.WAITING
    return NotificationDelivery(**values, last_try=values["tried_at"], next_try=values["due_at"] if waits else None)
