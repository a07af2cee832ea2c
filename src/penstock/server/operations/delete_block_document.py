from collections.abc import Collection
from uuid import UUID

import sqlalchemy as sa

from penstock.errors import Conflict, NotFound
from penstock.server.database import tables as t
from penstock.server.database.connection import Transaction

#: How many users of a document an error names.
NAMED = 3


def delete_block_document(tx: Transaction, document_id: UUID) -> None:
    """Raises NotFound; Conflict, naming them, while other documents or deployments refer to it."""
    refuse_if_used(tx, {document_id})
    if tx.execute(t.block_document.delete().where(t.block_document.c.id == document_id)).rowcount == 0:
        raise NotFound(f"Block document not found: {document_id}")


def refuse_if_used(tx: Transaction, document_ids: Collection[UUID]) -> None:
    """Raise Conflict if anything outside of `document_ids` refers to one of them.

    A deployment that lost its infrastructure would run somewhere else without a word.
    """
    # locked, so that nothing new can refer to them until they are gone
    tx.execute(sa.select(t.block_document.c.id).where(t.block_document.c.id.in_(document_ids)).with_for_update())
    users = _documents_that_use(tx, document_ids) + _deployments_that_use(tx, document_ids)
    if users:
        more = f" and {len(users) - NAMED} more" if len(users) > NAMED else ""
        raise Conflict(
            f"It is used by {', '.join(users[:NAMED])}{more}.",
            code="block_in_use",
            hint="Change or delete what uses it first.",
        )


def _documents_that_use(tx: Transaction, ids: Collection[UUID]) -> list[str]:
    reference, document = t.block_document_reference, t.block_document
    found = tx.execute(
        sa.select(t.block_type.c.slug, document.c.name)
        .select_from(reference)
        .join(document, document.c.id == reference.c.parent_id)
        .join(t.block_type, t.block_type.c.id == document.c.block_type_id)
        .where(reference.c.child_id.in_(ids), reference.c.parent_id.not_in(ids))
        .order_by(document.c.name)
    )
    return [f"block {row.slug}/{row.name}" for row in found]


def _deployments_that_use(tx: Transaction, ids: Collection[UUID]) -> list[str]:
    deployment = t.deployment
    found = tx.execute(
        sa.select(t.flow.c.name.label("flow_name"), deployment.c.name)
        .select_from(deployment)
        .join(t.flow, t.flow.c.id == deployment.c.flow_id)
        .where(sa.or_(deployment.c.infrastructure_document_id.in_(ids), deployment.c.storage_document_id.in_(ids)))
        .order_by(deployment.c.name)
    )
    return [f"deployment {row.flow_name}/{row.name}" for row in found]
