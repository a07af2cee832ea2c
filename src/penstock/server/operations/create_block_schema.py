import sqlalchemy as sa

from penstock.errors import NotFound
from penstock.model import block_fields
from penstock.model.base import new_id
from penstock.model.block_schemas import BlockSchema, BlockSchemaCreate
from penstock.server.database import tables as t
from penstock.server.database.connection import Transaction
from penstock.server.database.inserts import insert_if_absent
from penstock.server.operations.read_block_schemas import read_block_schema_by_checksum
from penstock.server.rules import block_values


def create_block_schema(tx: Transaction, asked: BlockSchemaCreate) -> tuple[BlockSchema, bool]:
    """The schema, and whether it is new: one with the same checksum and version is returned as it is.

    Raises NotFound if there is no such block type, Invalid if the fields are no JSON schema.
    """
    block_values.refuse_broken_schema(asked.fields)
    known = tx.execute(sa.select(t.block_type.c.id).where(t.block_type.c.id == asked.block_type_id)).one_or_none()
    if known is None:
        raise NotFound(f"Block type not found: {asked.block_type_id}")
    checksum = block_fields.checksum(asked.fields)
    values = {"id": new_id(), "created": tx.now, "updated": tx.now, "checksum": checksum, **asked.model_dump()}
    created = insert_if_absent(tx, t.block_schema, values)
    return read_block_schema_by_checksum(tx, checksum, asked.version), created
