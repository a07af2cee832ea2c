from collections.abc import Iterable
from uuid import UUID

import sqlalchemy as sa

from penstock.errors import Conflict, Invalid
from penstock.model.base import new_id
from penstock.model.notifications import FlowRunNotificationPolicy, FlowRunNotificationPolicyCreate
from penstock.server.database import tables as t
from penstock.server.database.connection import Transaction
from penstock.server.database.inserts import insert_if_absent
from penstock.server.database.rows import clean
from penstock.server.database.statements import read_row
from penstock.server.operations.queue_notifications import POLICIES
from penstock.server.operations.read_block_users import NOTIFY, capabilities
from penstock.server.rules.notifications import probably_meant


def create_notification_policy(tx: Transaction, asked: FlowRunNotificationPolicyCreate) -> FlowRunNotificationPolicy:
    """The new policy. Raises Invalid, naming the field; Conflict if there is no such block, or another policy has that id."""
    check_block(tx, asked.block_document_id)
    check_state_names(tx, asked.state_names)
    values = {
        **asked.model_dump(exclude={"id"}),
        "id": asked.id or new_id(),
        "created": tx.now,
        "updated": tx.now,
        "message_template": clean(asked.message_template),
    }
    if not insert_if_absent(tx, t.flow_run_notification_policy, values):
        row = read_row(tx, t.flow_run_notification_policy, values["id"])
        if row is None or row.block_document_id != asked.block_document_id:
            raise Conflict("Another notification policy has that id already.", code="notification_policy_exists")
        return FlowRunNotificationPolicy(**row._mapping)
    tx.notify(POLICIES)
    return FlowRunNotificationPolicy(**values)


def check_block(tx: Transaction, document_id: UUID) -> None:
    """Raise Conflict unless there is such a block, Invalid unless it can notify. It cannot be deleted before the end of the transaction."""
    document, kind = t.block_document.c, t.block_type.c
    row = tx.execute(
        sa.select(document.block_schema_id, document.name, kind.slug)
        .join(t.block_type, kind.id == document.block_type_id)
        .where(document.id == document_id)
        .with_for_update(read=True, of=t.block_document)
    ).one_or_none()
    if row is None:
        raise Conflict(
            f"block_document_id: there is no block {document_id}",
            code="integrity",
            hint="Save a notifier first; `penstock block ls` shows what there is.",
        )
    if NOTIFY not in capabilities(tx, row.block_schema_id):
        raise Invalid(
            f"block_document_id: {row.slug}/{row.name} is no notifier: blocks of its type cannot notify anybody",
            code="no_notifier",
            hint="Notifiers are slack-webhook, ms-teams-webhook, smtp-email and others: see docs/notifications.md.",
        )


def check_state_names(tx: Transaction, names: Iterable[str]) -> None:
    """Raise Invalid for a name that is a slip. Code may give its states any name: one that a run has is none."""
    for name in names:
        meant = probably_meant(name)
        if meant is not None and not _is_in_use(tx, name):
            raise Invalid(
                f"state_names: there is no state {name!r}. Did you mean {meant!r}?",
                code="no_such_state",
                hint="docs/states.md lists the states.",
            )


def _is_in_use(tx: Transaction, name: str) -> bool:
    used = sa.select(t.flow_run.c.id).where(t.flow_run.c.state_name == name).limit(1)
    return tx.execute(used).first() is not None
