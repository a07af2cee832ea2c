from uuid import UUID

import sqlalchemy as sa

from penstock.server.database.connection import Transaction
from penstock.server.database.tables import flow_run_notification_policy, notification_delivery
from penstock.server.operations.queue_notifications import POLICIES
from penstock.server.operations.read_notification_policies import no_policy


def delete_notification_policy(tx: Transaction, policy_id: UUID) -> None:
    """The policy and its messages, sent or not. Raises NotFound."""
    policy = flow_run_notification_policy
    if tx.execute(sa.delete(policy).where(policy.c.id == policy_id)).rowcount == 0:
        raise no_policy(policy_id)
    tx.execute(sa.delete(notification_delivery).where(notification_delivery.c.policy_id == policy_id))
    tx.notify(POLICIES)
