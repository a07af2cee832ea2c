from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock.errors import NotFound, did_you_mean
from penstock.model.block_documents import BlockDocument, BlockDocumentSort
from penstock.model.block_filters import BlockDocumentCount, BlockDocumentFilter, BlockDocumentList
from penstock.model.block_schemas import BlockSchema
from penstock.server.database import tables as t
from penstock.server.database.block_conditions import document_conditions, schema_conditions, type_conditions
from penstock.server.database.connection import Transaction
from penstock.server.database.paging import Cut, Order, read_page
from penstock.server.operations.block_document_rows import DamagedBlock, Documents, StoredDocument, fetch_documents
from penstock.server.operations.read_block_schemas import read_schemas_by_id
from penstock.server.operations.read_block_types import read_block_type_by_slug

_DOCUMENT = t.block_document.c
_ORDERS = {
    BlockDocumentSort.NAME_ASC: Order(_DOCUMENT.id, _DOCUMENT.name),
    BlockDocumentSort.NAME_DESC: Order(_DOCUMENT.id, _DOCUMENT.name, descending=True),
    BlockDocumentSort.BLOCK_TYPE_AND_NAME_ASC: Order(
        _DOCUMENT.id, _DOCUMENT.name, first=t.block_type.c.name.label("type_name")
    ),
}


def read_block_document(tx: Transaction, document_id: UUID, include_secrets: bool = False) -> BlockDocument:
    """Raises NotFound; DamagedBlock if secrets are wanted and something in it is damaged."""
    found = _read(tx, [document_id], include_secrets, strict=True)
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


def read_block_documents(tx: Transaction, asked: BlockDocumentList) -> tuple[list[BlockDocument], str | None]:
    """Documents that fit and whose types and schemas fit, and the cursor of the next page if there may be one.

    One that is damaged is listed with its problems, and masks in place of its secrets.
    """
    sort = asked.sort or BlockDocumentSort.NAME_ASC
    order = _ORDERS[sort]
    columns = [_DOCUMENT.id, _DOCUMENT.name, *([order.first] if order.first is not None else [])]
    cut = Cut(sort.value, asked.limit, asked.offset or 0, asked.cursor)
    page = read_page(tx, _fitting(sa.select(*columns), asked, tx.dialect), order, cut)
    return _read(tx, [row.id for row in page.rows], asked.include_secrets), page.next_cursor


def count_block_documents(tx: Transaction, asked: BlockDocumentCount) -> int:
    return int(tx.execute(_fitting(sa.select(sa.func.count(_DOCUMENT.id)), asked, tx.dialect)).scalar_one())


def _fitting(statement: sa.Select[Any], asked: BlockDocumentCount, dialect: str) -> sa.Select[Any]:
    statement = statement.select_from(t.block_document.join(t.block_type, t.block_type.c.id == _DOCUMENT.block_type_id))
    statement = statement.where(document_conditions(asked.block_documents or BlockDocumentFilter()))
    if asked.block_types is not None:
        statement = statement.where(*type_conditions(asked.block_types))
    if asked.block_schemas is not None:
        statement = statement.join(t.block_schema, t.block_schema.c.id == _DOCUMENT.block_schema_id)
        statement = statement.where(schema_conditions(asked.block_schemas, dialect))
    return statement


def _read(tx: Transaction, ids: list[UUID], include_secrets: bool, *, strict: bool = False) -> list[BlockDocument]:
    """`strict`: a damaged document whose secrets are wanted raises DamagedBlock instead of being shown with masks."""
    documents = fetch_documents(tx, _DOCUMENT.id.in_(ids))
    rows = [documents.rows[document_id] for document_id in ids if document_id in documents.rows]
    schemas = read_schemas_by_id(tx, {row.block_schema_id for row in rows})
    return [_document(documents, row, schemas.get(row.block_schema_id), include_secrets, strict) for row in rows]


def _document(
    documents: Documents, row: StoredDocument, schema: BlockSchema | None, include_secrets: bool, strict: bool
) -> BlockDocument:
    problems = documents.problems(row.id)
    if schema is None:
        problems.append(f"block_schema_id: there is no block schema {row.block_schema_id}.")
    try:
        data = documents.data(row.id, include_secrets=include_secrets)
    except DamagedBlock as error:
        if strict:
            raise
        problems = problems or [error.message]
        data = documents.data(row.id, include_secrets=False)
    fields, deep = documents.references(row.id)
    return BlockDocument(
        id=row.id,
        created=row.created,
        updated=row.updated,
        name=row.name,
        data=data,
        block_schema_id=row.block_schema_id,
        block_schema=schema,
        block_type_id=row.block_type_id,
        block_type_name=row.type_name,
        block_type=schema.block_type if schema is not None else None,
        block_document_references=fields,
        deep_references=deep,
        is_anonymous=row.is_anonymous,
        problems=problems,
    )
