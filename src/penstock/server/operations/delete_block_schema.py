from uuid import UUID

import sqlalchemy as sa

from penstock.errors import Conflict, NotFound
from penstock.server.database import tables as t
from penstock.server.database.connection import Transaction


def delete_block_schema(tx: Transaction, schema_id: UUID) -> None:
    """Raises NotFound; Conflict while documents have this schema."""
    document = t.block_document.c
    used = tx.execute(sa.select(sa.func.count()).where(document.block_schema_id == schema_id)).scalar_one()
    if used:
        raise Conflict(f"{used} block documents have this schema.", code="block_schema_in_use")
    if tx.execute(t.block_schema.delete().where(t.block_schema.c.id == schema_id)).rowcount == 0:
        raise NotFound(f"Block schema not found: {schema_id}")
