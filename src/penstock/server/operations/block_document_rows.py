"""Rows of block documents as documents: references resolved in place, secrets in clear or as masks."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock.model.base import JSONObject
from penstock.server import keys
from penstock.server.database import tables as t
from penstock.server.database.connection import Transaction
from penstock.server.rules import block_references, block_secrets

_DOCUMENT = t.block_document.c
_COLUMNS = (
    *_DOCUMENT,
    t.block_type.c.slug.label("type_slug"),
    t.block_type.c.name.label("type_name"),
)


@dataclass(frozen=True)
class Documents:
    """Rows by id, with those of all documents that they refer to."""

    rows: dict[UUID, sa.Row[Any]]

    def data(self, document_id: UUID, *, include_secrets: bool, _above: frozenset[UUID] = frozenset()) -> Any:
        """The document's data. A reference to what is gone, or to a document above, reads as None."""
        row = self.rows.get(document_id)
        if row is None or document_id in _above:
            return None
        above = _above | {document_id}
        return block_references.replace_references(
            open_data(row, include_secrets=include_secrets),
            lambda child: self.data(child, include_secrets=include_secrets, _above=above),
        )

    def references(self, document_id: UUID, _above: frozenset[UUID] = frozenset()) -> JSONObject:
        """``{field: {"block_document": …}}`` for every field that is a reference."""
        above = _above | {document_id}
        found: JSONObject = {}
        for name, child_id in block_references.find_references(self.rows[document_id].data):
            child = self.rows.get(child_id)
            if child is None or child_id in above or "." in name:
                continue
            found[name] = {
                "block_document": {
                    "id": str(child.id),
                    "name": child.name,
                    "block_type": {"id": str(child.block_type_id), "name": child.type_name, "slug": child.type_slug},
                    "is_anonymous": child.is_anonymous,
                    "block_document_references": self.references(child_id, above),
                }
            }
        return found


def open_data(row: sa.Row[Any], *, include_secrets: bool) -> JSONObject:
    """The row's own data, references left as they are."""
    if row.sealed is None:
        return dict(row.data)
    if include_secrets:
        return block_secrets.put_back(row.data, [(tuple(path), value) for path, value in keys.unseal(row.sealed)])
    return block_secrets.put_masks(row.data, row.sealed["places"])


def close_data(data: JSONObject, secret_fields: Iterable[str]) -> dict[str, Any]:
    """`data` as the columns that keep it: ``data`` without its secrets, ``sealed`` with nothing but them."""
    rest, secrets = block_secrets.take_out(data, secret_fields)
    sealed = {**keys.seal(secrets), "places": [path for path, _ in secrets]} if secrets else None
    return {"data": rest, "sealed": sealed}


def fetch_documents(tx: Transaction, condition: sa.ColumnElement[bool]) -> Documents:
    """The documents that fulfil `condition`, and all they refer to: one query per level of nesting."""
    rows = {row.id: row for row in tx.execute(_select().where(condition))}
    missing = _missing(rows.values(), rows)
    while missing:
        found = {row.id: row for row in tx.execute(_select().where(_DOCUMENT.id.in_(missing)))}
        rows.update(found)
        missing = _missing(found.values(), rows)
    return Documents(rows)


def _select() -> sa.Select[Any]:
    return sa.select(*_COLUMNS).join(t.block_type, t.block_type.c.id == _DOCUMENT.block_type_id)


def _missing(rows: Collection[sa.Row[Any]], known: dict[UUID, sa.Row[Any]]) -> set[UUID]:
    return {child for row in rows for _, child in block_references.find_references(row.data) if child not in known}
