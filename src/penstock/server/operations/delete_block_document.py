from collections.abc import Collection
from uuid import UUID

import sqlalchemy as sa

from penstock.errors import Conflict, NotFound
from penstock.server.database import tables as t
from penstock.server.database.connection import Transaction
from penstock.server.operations.read_block_users import name_users


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
    users = name_users(tx, document_ids)
    if users:
        raise Conflict(f"It is used by {users}.", code="block_in_use", hint="Change or delete what uses it first.")
