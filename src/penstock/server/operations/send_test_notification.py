from uuid import UUID

from penstock.model.base import new_id
from penstock.model.notifications import DeliveryStatus, SampleMessage
from penstock.server.database.connection import Transaction
from penstock.server.database.statements import insert_row, read_row
from penstock.server.database.tables import flow_run_notification_policy, notification_delivery
from penstock.server.operations.compose_message import sample_event
from penstock.server.operations.queue_notifications import MESSAGES
from penstock.server.operations.read_notification_policies import no_policy
from penstock.server.rules.notifications import compose


def send_test_notification(tx: Transaction, policy_id: UUID, ui_url: str, dry_run: bool) -> SampleMessage:
    """What a message of the policy looks like; it is sent, once and whether the policy is paused or not, unless it is a
    `dry_run`. Raises NotFound."""
    policy = read_row(tx, flow_run_notification_policy, policy_id)
    if policy is None:
        raise no_policy(policy_id)
    message = compose(sample_event(tx, policy_id, ui_url), policy.message_template)
    if dry_run:
        return SampleMessage(subject=message.subject, body=message.body)
    row = {
        "id": new_id(),
        "created": tx.now,
        "updated": tx.now,
        "policy_id": policy_id,
        "status": DeliveryStatus.WAITING,
        "tries": 0,
        "due_at": tx.now,
    }
    insert_row(tx, notification_delivery, row)
    tx.notify(MESSAGES)
    return SampleMessage(subject=message.subject, body=message.body, delivery_id=row["id"])
