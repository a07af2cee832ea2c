from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock.errors import NotFound
from penstock.model.block_filters import BlockSchemaFilter, BlockSchemaList
from penstock.model.block_schemas import BlockSchema
from penstock.model.block_types import BlockType
from penstock.server.database import tables as t
from penstock.server.database.block_conditions import schema_conditions
from penstock.server.database.connection import Transaction
from penstock.server.database.paging import Cut, Order, read_page
from penstock.server.operations.block_document_rows import read_json

_SCHEMA = t.block_schema.c
# JSON as text: one damaged value must not break the reading of all rows
_COLUMNS = (
    *(column for column in _SCHEMA if column.name not in ("fields", "capabilities")),
    sa.cast(_SCHEMA.fields, sa.Text).label("fields"),
    sa.cast(_SCHEMA.capabilities, sa.Text).label("capabilities"),
)


def read_block_schema(tx: Transaction, schema_id: UUID) -> BlockSchema:
    """Raises NotFound."""
    found = _with_types(tx, tx.execute(sa.select(*_COLUMNS).where(_SCHEMA.id == schema_id)).all())
    if not found:
        raise NotFound(f"Block schema not found: {schema_id}")
    return found[0]


def read_block_schema_by_checksum(tx: Transaction, checksum: str, version: str | None = None) -> BlockSchema:
    """The schema of that checksum; without a version the newest. Raises NotFound."""
    statement = sa.select(*_COLUMNS).where(_SCHEMA.checksum == checksum)
    if version is not None:
        statement = statement.where(_SCHEMA.version == version)
    newest = statement.order_by(_SCHEMA.created.desc(), _SCHEMA.id.desc()).limit(1)
    found = _with_types(tx, tx.execute(newest).all())
    if not found:
        raise NotFound(f"Block schema not found: {checksum}" + (f", version {version}" if version else ""))
    return found[0]


def read_block_schemas(tx: Transaction, asked: BlockSchemaList) -> tuple[list[BlockSchema], str | None]:
    """Schemas that fit, the newest first, and the cursor of the next page if there may be one."""
    fitting = schema_conditions(asked.block_schemas or BlockSchemaFilter(), tx.dialect)
    cut = Cut("CREATED_DESC", asked.limit, asked.offset or 0, asked.cursor)
    order = Order(_SCHEMA.id, _SCHEMA.created, descending=True)
    page = read_page(tx, sa.select(*_COLUMNS).where(fitting), order, cut)
    return _with_types(tx, page.rows), page.next_cursor


def read_schemas_by_id(tx: Transaction, ids: Collection[UUID]) -> dict[UUID, BlockSchema]:
    """Those that there are, by id."""
    found = _with_types(tx, tx.execute(sa.select(*_COLUMNS).where(_SCHEMA.id.in_(ids))).all())
    return {schema.id: schema for schema in found}


def read_block_capabilities(tx: Transaction) -> list[str]:
    """Every capability that some schema has, sorted."""
    lists = tx.execute(sa.select(sa.cast(_SCHEMA.capabilities, sa.Text)).distinct()).scalars()
    return sorted({capability for text in lists for capability in _texts(read_json(text))})


def _with_types(tx: Transaction, rows: Sequence[sa.Row[Any]]) -> list[BlockSchema]:
    wanted = {row.block_type_id for row in rows}
    types = {
        row.id: BlockType.model_validate(dict(row._mapping))
        for row in tx.execute(sa.select(t.block_type).where(t.block_type.c.id.in_(wanted)))
    }
    return [_schema(row, types.get(row.block_type_id)) for row in rows]


def _schema(row: sa.Row[Any], block_type: BlockType | None) -> BlockSchema:
    """A row as a schema; what is damaged in it reads as empty, so that it breaks nothing else."""
    fields = read_json(row.fields)
    return BlockSchema(
        **{
            **row._mapping,
            "fields": fields if isinstance(fields, dict) else {},
            "capabilities": _texts(read_json(row.capabilities)),
            "block_type": block_type,
        }
    )


def _texts(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
