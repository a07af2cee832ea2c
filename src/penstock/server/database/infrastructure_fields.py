"""What is known of the fields of infrastructure, for whoever changes some of them."""

from uuid import UUID

import sqlalchemy as sa

from penstock.model.base import JSONObject
from penstock.server.database import tables as t
from penstock.server.database.connection import Transaction

#: The type of deployments without an infrastructure block.
DEFAULT_TYPE = "process"


def schemas_of_infrastructure(tx: Transaction, document_id: UUID | None) -> list[JSONObject]:
    """All schemas of the type of that document, or of local processes."""
    wanted = (
        sa.select(t.block_type.c.id).where(t.block_type.c.slug == DEFAULT_TYPE)
        if document_id is None
        else sa.select(t.block_document.c.block_type_id).where(t.block_document.c.id == document_id)
    )
    rows = tx.execute(sa.select(t.block_schema.c.fields).where(t.block_schema.c.block_type_id.in_(wanted)))
    return [row.fields for row in rows]
