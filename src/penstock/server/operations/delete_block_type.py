from uuid import UUID

import sqlalchemy as sa

from penstock.errors import NotFound, Refused
from penstock.server.database import tables as t
from penstock.server.database.connection import Transaction
from penstock.server.operations.delete_block_document import refuse_if_used


def delete_block_type(tx: Transaction, block_type_id: UUID) -> None:
    """Delete the type with its schemas and documents.

    Raises NotFound; Refused for a type that Penstock itself needs; Conflict while something refers to a document of it.
    """
    row = tx.execute(sa.select(t.block_type).where(t.block_type.c.id == block_type_id)).one_or_none()
    if row is None:
        raise NotFound(f"Block type not found: {block_type_id}")
    if row.is_protected:
        raise Refused(
            f"The block type {row.slug!r} is protected and cannot be deleted.", code="protected_block_type", status=403
        )
    documents = tx.execute(sa.select(t.block_document.c.id).where(t.block_document.c.block_type_id == block_type_id))
    refuse_if_used(tx, set(documents.scalars()))
    tx.execute(t.block_type.delete().where(t.block_type.c.id == block_type_id))
