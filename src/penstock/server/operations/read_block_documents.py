from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock.errors import NotFound, did_you_mean
from penstock.model.block_documents import BlockDocument, BlockDocumentSort
from penstock.model.block_filters import BlockDocumentCount, BlockDocumentFilter, BlockDocumentList
from penstock.model.filters import MAX_LIMIT
from penstock.server.database import tables as t
from penstock.server.database.block_conditions import document_conditions, schema_conditions, type_conditions
from penstock.server.database.connection import Transaction
from penstock.server.operations.block_document_rows import fetch_documents
from penstock.server.operations.read_block_schemas import read_schemas_by_id
from penstock.server.operations.read_block_types import read_block_type_by_slug

_DOCUMENT = t.block_document.c
_ORDER: dict[BlockDocumentSort, tuple[sa.ColumnElement[Any], ...]] = {
    BlockDocumentSort.NAME_ASC: (_DOCUMENT.name.asc(),),
    BlockDocumentSort.NAME_DESC: (_DOCUMENT.name.desc(),),
    BlockDocumentSort.BLOCK_TYPE_AND_NAME_ASC: (t.block_type.c.name.asc(), _DOCUMENT.name.asc()),
}


def read_block_document(tx: Transaction, document_id: UUID, include_secrets: bool = False) -> BlockDocument:
    """Raises NotFound."""
    found = _read(tx, [document_id], include_secrets)
    if not found:
        raise NotFound(f"Block document not found: {document_id}")
    return found[0]


def read_block_document_by_name(tx: Transaction, slug: str, name: str, include_secrets: bool = False) -> BlockDocument:
    """Raises NotFound with the nearest name."""
    block_type = read_block_type_by_slug(tx, slug)
    of_type = _DOCUMENT.block_type_id == block_type.id
    document_id = tx.execute(sa.select(_DOCUMENT.id).where(of_type, _DOCUMENT.name == name)).scalar_one_or_none()
    if document_id is None:
        names = tx.execute(sa.select(_DOCUMENT.name).where(of_type, _DOCUMENT.is_anonymous.is_(False))).scalars()
        raise NotFound(f"Block document not found: {slug}/{name}.{did_you_mean(name, names)}")
    return read_block_document(tx, document_id, include_secrets)


def read_block_documents_by_type(tx: Transaction, slug: str, include_secrets: bool = False) -> list[BlockDocument]:
    """The named documents of a type, by name. Raises NotFound if there is no such type."""
    block_type = read_block_type_by_slug(tx, slug)
    ids = tx.execute(
        sa.select(_DOCUMENT.id)
        .where(_DOCUMENT.block_type_id == block_type.id, _DOCUMENT.is_anonymous.is_(False))
        .order_by(_DOCUMENT.name)
    )
    return _read(tx, list(ids.scalars()), include_secrets)


def read_block_documents(tx: Transaction, asked: BlockDocumentList) -> list[BlockDocument]:
    """Documents that fit and whose types and schemas fit."""
    order = _ORDER[asked.sort or BlockDocumentSort.NAME_ASC]
    statement = _fitting(sa.select(_DOCUMENT.id), asked, tx.dialect).order_by(*order, _DOCUMENT.id)
    ids = tx.execute(
        statement.offset(asked.offset or 0).limit(MAX_LIMIT if asked.limit is None else asked.limit)
    ).scalars()
    return _read(tx, list(ids), asked.include_secrets)


def count_block_documents(tx: Transaction, asked: BlockDocumentCount) -> int:
    return int(tx.execute(_fitting(sa.select(sa.func.count(_DOCUMENT.id)), asked, tx.dialect)).scalar_one())


def _fitting(statement: sa.Select[Any], asked: BlockDocumentCount, dialect: str) -> sa.Select[Any]:
    statement = statement.join(t.block_type, t.block_type.c.id == _DOCUMENT.block_type_id)
    statement = statement.where(document_conditions(asked.block_documents or BlockDocumentFilter()))
    if asked.block_types is not None:
        statement = statement.where(*type_conditions(asked.block_types))
    if asked.block_schemas is not None:
        statement = statement.join(t.block_schema, t.block_schema.c.id == _DOCUMENT.block_schema_id)
        statement = statement.where(schema_conditions(asked.block_schemas, dialect))
    return statement


def _read(tx: Transaction, ids: list[UUID], include_secrets: bool) -> list[BlockDocument]:
    documents = fetch_documents(tx, _DOCUMENT.id.in_(ids))
    rows = [documents.rows[document_id] for document_id in ids if document_id in documents.rows]
    schemas = read_schemas_by_id(tx, {row.block_schema_id for row in rows})
    return [
        BlockDocument(
            id=row.id,
            created=row.created,
            updated=row.updated,
            name=row.name,
            data=documents.data(row.id, include_secrets=include_secrets),
            block_schema_id=row.block_schema_id,
            block_schema=schemas[row.block_schema_id],
            block_type_id=row.block_type_id,
            block_type_name=row.type_name,
            block_type=schemas[row.block_schema_id].block_type,
            block_document_references=documents.references(row.id),
            is_anonymous=row.is_anonymous,
        )
        for row in rows
    ]
