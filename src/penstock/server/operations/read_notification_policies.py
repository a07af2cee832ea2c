from uuid import UUID

import sqlalchemy as sa

from penstock.errors import NotFound
from penstock.model.filters import MAX_LIMIT
from penstock.model.notifications import FlowRunNotificationPolicy, FlowRunNotificationPolicyQuery
from penstock.server.database.connection import Transaction
from penstock.server.database.statements import read_row
from penstock.server.database.tables import flow_run_notification_policy as policy


def read_notification_policy(tx: Transaction, policy_id: UUID) -> FlowRunNotificationPolicy:
    """Raises NotFound."""
    row = read_row(tx, policy, policy_id)
    if row is None:
        raise no_policy(policy_id)
    return FlowRunNotificationPolicy(**row._mapping)


def read_notification_policies(
    tx: Transaction, query: FlowRunNotificationPolicyQuery
) -> list[FlowRunNotificationPolicy]:
    """Policies in the order in which they were made."""
    wanted = query.flow_run_notification_policy_filter
    statement = sa.select(policy).order_by(policy.c.created, policy.c.id)
    if wanted is not None and wanted.is_active is not None and wanted.is_active.eq_ is not None:
        statement = statement.where(policy.c.is_active == wanted.is_active.eq_)
    limit = MAX_LIMIT if query.limit is None else query.limit
    return [
        FlowRunNotificationPolicy(**row._mapping) for row in tx.execute(statement.offset(query.offset).limit(limit))
    ]


def no_policy(policy_id: UUID) -> NotFound:
    return NotFound(
        "Notification policy not found",
        code="notification_policy_not_found",
        hint=f"There is no {policy_id}. `penstock notification ls` lists them.",
    )
