"""Who uses a block document: other documents, deployments as their infrastructure or storage, notification policies."""

from collections.abc import Collection
from uuid import UUID

import sqlalchemy as sa

from penstock.errors import Conflict, NotFound
from penstock.model.block_users import BlockUser, BlockUsers, DeploymentUser, PolicyUser
from penstock.server.database import tables as t
from penstock.server.database.connection import Transaction
from penstock.server.operations.block_document_rows import read_json

#: How many users of a document an error names.
NAMED = 3
#: What a notification policy needs.
NOTIFY = "notify"
#: What a deployment needs of a block that it uses: one of these capabilities.
_NEEDED = {
    "infrastructure": frozenset({"run-infrastructure"}),
    "storage": frozenset({"get-directory", "read-path", "write-path", "put-directory"}),
}


def read_block_users(tx: Transaction, document_id: UUID) -> BlockUsers:
    """All direct users, by name. Raises NotFound if there is no such document."""
    if tx.execute(sa.select(t.block_document.c.id).where(t.block_document.c.id == document_id)).one_or_none() is None:
        raise NotFound(f"Block document not found: {document_id}")
    return BlockUsers(
        block_documents=_documents_that_use(tx, {document_id}),
        deployments=_deployments_that_use(tx, {document_id}),
        notification_policies=_policies_that_use(tx, {document_id}),
    )


def name_users(tx: Transaction, document_ids: Collection[UUID]) -> str:
    """The users outside of `document_ids` for a message: the first of them, and how many more. Empty if there are none."""
    names = [
        *(f"block {user.block_type_slug}/{user.name}" for user in _documents_that_use(tx, document_ids)),
        *(f"deployment {user.flow_name}/{user.name}" for user in _deployments_that_use(tx, document_ids)),
        *(f"notification policy {user.id}" for user in _policies_that_use(tx, document_ids)),
    ]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def refuse_lost_capabilities(tx: Transaction, document_id: UUID, old_schema_id: UUID, new_schema_id: UUID) -> None:
    """Raise Conflict if a user needs what the document can do under its old schema and could not under the new one."""
    old, new = capabilities(tx, old_schema_id), capabilities(tx, new_schema_id)
    if old <= new:
        return
    if NOTIFY in old - new and (users := _policies_that_use(tx, {document_id})):
        raise Conflict(
            f"Notification policy {users[0].id} tells through it: blocks of the new schema cannot notify anybody.",
            code="block_in_use",
            hint="Give the policy another notifier first.",
        )
    for user in _deployments_that_use(tx, {document_id}):
        for part in user.uses_as:
            lost = _NEEDED[part] & (old - new)
            if lost:
                raise Conflict(
                    f"It is the {part} of deployment {user.flow_name}/{user.name}, which needs {', '.join(sorted(lost))}: "
                    "blocks of the new schema cannot do that.",
                    code="block_in_use",
                    hint=f"Give the deployment another {part} block first.",
                )


def capabilities(tx: Transaction, schema_id: UUID) -> frozenset[str]:
    """What blocks of that schema can do; nothing if there is no such schema."""
    text = tx.execute(
        sa.select(sa.cast(t.block_schema.c.capabilities, sa.Text)).where(t.block_schema.c.id == schema_id)
    ).scalar_one_or_none()
    listed = read_json(text)
    return frozenset(map(str, listed)) if isinstance(listed, list) else frozenset()


def _documents_that_use(tx: Transaction, ids: Collection[UUID]) -> list[BlockUser]:
    reference, document = t.block_document_reference, t.block_document
    found = tx.execute(
        sa.select(document.c.id, document.c.name, t.block_type.c.slug, reference.c.name.label("field"))
        .select_from(reference)
        .join(document, document.c.id == reference.c.parent_id)
        .outerjoin(t.block_type, t.block_type.c.id == document.c.block_type_id)
        .where(reference.c.child_id.in_(ids), reference.c.parent_id.not_in(ids))
        .order_by(document.c.name, document.c.id, reference.c.name)
    )
    users: dict[UUID, BlockUser] = {}
    for row in found:
        user = users.setdefault(row.id, BlockUser(id=row.id, name=row.name, block_type_slug=row.slug))
        user.fields.append(row.field)
    return list(users.values())


def _deployments_that_use(tx: Transaction, ids: Collection[UUID]) -> list[DeploymentUser]:
    deployment = t.deployment.c
    found = tx.execute(
        sa.select(
            deployment.id,
            deployment.name,
            t.flow.c.name.label("flow_name"),
            deployment.infrastructure_document_id.label("infrastructure"),
            deployment.storage_document_id.label("storage"),
        )
        .join(t.flow, t.flow.c.id == deployment.flow_id)
        .where(sa.or_(deployment.infrastructure_document_id.in_(ids), deployment.storage_document_id.in_(ids)))
        .order_by(deployment.name, deployment.id)
    )
    return [
        DeploymentUser(
            id=row.id,
            name=row.name,
            flow_name=row.flow_name,
            uses_as=[part for part in _NEEDED if getattr(row, part) in ids],
        )
        for row in found
    ]


def _policies_that_use(tx: Transaction, ids: Collection[UUID]) -> list[PolicyUser]:
    policy = t.flow_run_notification_policy.c
    found = tx.execute(
        sa.select(policy.id, policy.state_names, policy.tags)
        .where(policy.block_document_id.in_(ids))
        .order_by(policy.created, policy.id)
    )
    return [PolicyUser(**row._mapping) for row in found]
