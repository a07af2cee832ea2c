"""Filters of blocks as SQL."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from penstock.model.block_filters import BlockDocumentFilter, BlockSchemaFilter, BlockTypeFilter
from penstock.model.filters import Operator
from penstock.server.database import tables as t

Condition = sa.ColumnElement[bool]


def type_conditions(asked: BlockTypeFilter) -> list[Condition]:
    column = t.block_type.c
    found: list[Condition] = []
    if asked.name and asked.name.like_ is not None:
        found.append(column.name.icontains(asked.name.like_, autoescape=True))
    if asked.slug and asked.slug.any_ is not None:
        found.append(column.slug.in_(asked.slug.any_))
    return found


def schema_conditions(asked: BlockSchemaFilter, dialect: str) -> Condition:
    column = t.block_schema.c
    found: list[Condition] = []
    if asked.block_type_id and asked.block_type_id.any_ is not None:
        found.append(column.block_type_id.in_(asked.block_type_id.any_))
    if asked.id and asked.id.any_ is not None:
        found.append(column.id.in_(asked.id.any_))
    if asked.version and asked.version.any_ is not None:
        found.append(column.version.in_(asked.version.any_))
    if asked.block_capabilities and asked.block_capabilities.all_:
        found.append(_has_all(column.capabilities, asked.block_capabilities.all_, dialect))
    return _joined(found, asked.operator)


def document_conditions(asked: BlockDocumentFilter) -> Condition:
    column = t.block_document.c
    found: list[Condition] = []
    if asked.id and asked.id.any_ is not None:
        found.append(column.id.in_(asked.id.any_))
    if asked.is_anonymous and asked.is_anonymous.eq_ is not None:
        found.append(column.is_anonymous == asked.is_anonymous.eq_)
    if asked.block_type_id and asked.block_type_id.any_ is not None:
        found.append(column.block_type_id.in_(asked.block_type_id.any_))
    if asked.name and asked.name.any_ is not None:
        found.append(column.name.in_(asked.name.any_))
    if asked.name and asked.name.like_ is not None:
        found.append(column.name.icontains(asked.name.like_, autoescape=True))
    return _joined(found, asked.operator)


def _joined(found: list[Condition], operator: Operator) -> Condition:
    if not found:
        return sa.true()
    return sa.or_(*found) if operator is Operator.OR else sa.and_(*found)


def _has_all(column: sa.Column[Any], values: list[str], dialect: str) -> Condition:
    if dialect == "postgresql":
        return sa.cast(column, JSONB).contains(values)
    items = [sa.func.json_each(column).table_valued("value") for _ in values]
    return sa.and_(
        *(sa.exists().select_from(item).where(item.c.value == value) for item, value in zip(items, values, strict=True))
    )
