from collections.abc import Collection
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock.errors import NotFound
from penstock.model.block_filters import BlockSchemaFilter, BlockSchemaList
from penstock.model.block_schemas import BlockSchema
from penstock.model.block_types import BlockType
from penstock.model.filters import MAX_LIMIT
from penstock.server.database import tables as t
from penstock.server.database.block_conditions import schema_conditions
from penstock.server.database.connection import Transaction


def read_block_schema(tx: Transaction, schema_id: UUID) -> BlockSchema:
    """Raises NotFound."""
    found = _with_types(tx, sa.select(t.block_schema).where(t.block_schema.c.id == schema_id))
    if not found:
        raise NotFound(f"Block schema not found: {schema_id}")
    return found[0]


def read_block_schema_by_checksum(tx: Transaction, checksum: str, version: str | None = None) -> BlockSchema:
    """The schema of that checksum; without a version the newest. Raises NotFound."""
    statement = sa.select(t.block_schema).where(t.block_schema.c.checksum == checksum)
    if version is not None:
        statement = statement.where(t.block_schema.c.version == version)
    found = _with_types(tx, statement.order_by(t.block_schema.c.created.desc(), t.block_schema.c.id).limit(1))
    if not found:
        raise NotFound(f"Block schema not found: {checksum}" + (f", version {version}" if version else ""))
    return found[0]


def read_block_schemas(tx: Transaction, asked: BlockSchemaList) -> list[BlockSchema]:
    """Schemas that fit, the newest first."""
    statement = (
        sa.select(t.block_schema)
        .where(schema_conditions(asked.block_schemas or BlockSchemaFilter(), tx.dialect))
        .order_by(t.block_schema.c.created.desc(), t.block_schema.c.id)
    )
    return _with_types(tx, statement.offset(asked.offset or 0).limit(MAX_LIMIT if asked.limit is None else asked.limit))


def read_schemas_by_id(tx: Transaction, ids: Collection[UUID]) -> dict[UUID, BlockSchema]:
    found = _with_types(tx, sa.select(t.block_schema).where(t.block_schema.c.id.in_(ids)))
    return {schema.id: schema for schema in found}


def read_block_capabilities(tx: Transaction) -> list[str]:
    """Every capability that some schema has, sorted."""
    lists = tx.execute(sa.select(t.block_schema.c.capabilities)).scalars()
    return sorted({capability for capabilities in lists for capability in capabilities})


def _with_types(tx: Transaction, statement: sa.Select[Any]) -> list[BlockSchema]:
    rows = tx.execute(statement).all()
    wanted = {row.block_type_id for row in rows}
    types = {
        row.id: BlockType.model_validate(dict(row._mapping))
        for row in tx.execute(sa.select(t.block_type).where(t.block_type.c.id.in_(wanted)))
    }
    return [BlockSchema.model_validate({**row._mapping, "block_type": types[row.block_type_id]}) for row in rows]
