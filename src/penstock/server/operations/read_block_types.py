from uuid import UUID

import sqlalchemy as sa

from penstock.errors import NotFound, did_you_mean
from penstock.model.block_filters import BlockTypeFilter, BlockTypeList
from penstock.model.block_types import BlockType
from penstock.server.database import tables as t
from penstock.server.database.block_conditions import schema_conditions, type_conditions
from penstock.server.database.connection import Transaction
from penstock.server.database.paging import Cut, Order, read_page


def read_block_type(tx: Transaction, block_type_id: UUID) -> BlockType:
    """Raises NotFound."""
    row = tx.execute(sa.select(t.block_type).where(t.block_type.c.id == block_type_id)).one_or_none()
    if row is None:
        raise NotFound(f"Block type not found: {block_type_id}")
    return BlockType.model_validate(dict(row._mapping))


def read_block_type_by_slug(tx: Transaction, slug: str) -> BlockType:
    """Raises NotFound with the nearest slug."""
    row = tx.execute(sa.select(t.block_type).where(t.block_type.c.slug == slug)).one_or_none()
    if row is None:
        known = tx.execute(sa.select(t.block_type.c.slug)).scalars()
        raise NotFound(f"Block type not found: {slug!r}.{did_you_mean(slug, known)}")
    return BlockType.model_validate(dict(row._mapping))


def read_block_types(tx: Transaction, asked: BlockTypeList) -> tuple[list[BlockType], str | None]:
    """Types that fit, by name, and the cursor of the next page if there may be one."""
    statement = sa.select(t.block_type).where(*type_conditions(asked.block_types or BlockTypeFilter()))
    if asked.block_schemas is not None:
        fitting = sa.select(t.block_schema.c.block_type_id).where(schema_conditions(asked.block_schemas, tx.dialect))
        statement = statement.where(t.block_type.c.id.in_(fitting))
    cut = Cut("NAME_ASC", asked.limit, asked.offset or 0, asked.cursor)
    page = read_page(tx, statement, Order(t.block_type.c.id, t.block_type.c.name), cut)
    return [BlockType.model_validate(dict(row._mapping)) for row in page.rows], page.next_cursor
