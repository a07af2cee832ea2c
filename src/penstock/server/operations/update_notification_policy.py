from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock.model.notifications import DeliveryStatus, FlowRunNotificationPolicyUpdate
from penstock.server.database.connection import Transaction
from penstock.server.database.rows import clean
from penstock.server.database.statements import update_row
from penstock.server.database.tables import flow_run_notification_policy
from penstock.server.database.tables import notification_delivery as delivery
from penstock.server.operations.create_notification_policy import check_block, check_state_names
from penstock.server.operations.queue_notifications import POLICIES
from penstock.server.operations.read_notification_policies import no_policy


def update_notification_policy(tx: Transaction, policy_id: UUID, change: FlowRunNotificationPolicyUpdate) -> None:
    """Change the fields that are given. What waits to be sent when a policy is paused is not sent any more.

    Raises NotFound, and Invalid and Conflict as `create_notification_policy` does.
    """
    values: dict[str, Any] = change.model_dump(exclude_unset=True)
    values = {key: value for key, value in values.items() if value is not None or key == "message_template"}
    if change.block_document_id is not None:
        check_block(tx, change.block_document_id)
    if change.state_names is not None:
        check_state_names(tx, change.state_names)
    if change.message_template is not None:
        values["message_template"] = clean(change.message_template)
    if not update_row(tx, flow_run_notification_policy, policy_id, {**values, "updated": tx.now}):
        raise no_policy(policy_id)
    if change.is_active is False:
        _give_up_waiting(tx, policy_id)
    tx.notify(POLICIES)


def _give_up_waiting(tx: Transaction, policy_id: UUID) -> None:
    """Whoever pauses a policy wants silence now, and no old news later. Tests of a paused policy stay."""
    waits = (delivery.c.status == DeliveryStatus.WAITING, delivery.c.flow_run_id.is_not(None))
    tx.execute(
        sa.update(delivery)
        .where(delivery.c.policy_id == policy_id, *waits)
        .values(
            status=DeliveryStatus.FAILED,
            due_at=None,
            updated=tx.now,
            error="The policy was paused before the message was sent.",
        )
    )
