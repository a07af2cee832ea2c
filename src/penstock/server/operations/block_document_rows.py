"""Rows of block documents as documents: references resolved in place, secrets in clear or as masks.

A row that was damaged in the database is still a row: what is wrong with it is told with it, and nothing else suffers.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import pydantic_core
import sqlalchemy as sa

from penstock.errors import ConfigurationError, Invalid
from penstock.model.base import JSONObject
from penstock.server import keys
from penstock.server.database import tables as t
from penstock.server.database.connection import Transaction
from penstock.server.rules import block_references, block_secrets

_DOCUMENT = t.block_document.c
# JSON as text: one damaged value must not break the reading of all rows
_COLUMNS = (
    *(column for column in _DOCUMENT if column.name not in ("data", "sealed")),
    sa.cast(_DOCUMENT.data, sa.Text).label("data"),
    sa.cast(_DOCUMENT.sealed, sa.Text).label("sealed"),
    t.block_type.c.slug.label("type_slug"),
    t.block_type.c.name.label("type_name"),
    t.block_schema.c.version.label("schema_version"),
)
#: Advisory lock of PostgreSQL: who seals holds it shared, who drops a key holds it alone.
_SEALING = 7_136_042


class DamagedBlock(ConfigurationError):
    """What the database keeps of a block cannot be used. The message names the block and the field."""

    code = "damaged_block"
    status = 409


@dataclass(frozen=True)
class StoredDocument:
    """`data` is without its secrets, which are in `sealed` and belong at `places`. `problems`: what is damaged."""

    id: UUID
    created: datetime
    updated: datetime
    name: str
    is_anonymous: bool
    block_type_id: UUID
    block_schema_id: UUID
    type_slug: str | None
    type_name: str | None
    schema_version: str | None
    data: JSONObject
    sealed: dict[str, str] | None
    places: tuple[block_secrets.Path, ...]
    #: dotted places in `data`, and whom they refer to
    references: tuple[tuple[str, UUID], ...]
    problems: tuple[str, ...]

    @property
    def title(self) -> str:
        return f"block {self.type_slug}/{self.name}"

    def damaged(self, problem: str, error: ConfigurationError | None = None) -> DamagedBlock:
        hint = error.hint if error is not None else "Save it anew, or restore the database from a backup."
        return DamagedBlock(f"{self.title}: {problem}", code=error.code if error is not None else None, hint=hint)


@dataclass(frozen=True)
class Documents:
    """Documents by id, with all documents that they refer to."""

    rows: dict[UUID, StoredDocument]
    #: ids of the keys that this server has
    ring: frozenset[str]

    def data(
        self,
        document_id: UUID,
        *,
        include_secrets: bool,
        with_types: bool = False,
        _above: frozenset[UUID] = frozenset(),
    ) -> JSONObject:
        """The document's data. A reference that leads nowhere, or to a document above, reads as None.

        `with_types`: what stands in place of a reference says its type and version, as a block that is stored by value does.
        With secrets the data is going to be used: then what is damaged raises DamagedBlock.
        """
        row, above = self.rows[document_id], _above | {document_id}
        if include_secrets:
            for problem in (*row.problems, *self._lost_references(row, above)):
                raise row.damaged(problem)

        def resolve(child: UUID) -> Any:
            if child not in self.rows or child in above:
                return None
            told = self.data(child, include_secrets=include_secrets, with_types=with_types, _above=above)
            return told | self._type_of(child) if with_types else told

        own = open_data(row, include_secrets=include_secrets)
        found: JSONObject = {name: block_references.replace_references(item, resolve) for name, item in own.items()}
        return found

    def _type_of(self, document_id: UUID) -> JSONObject:
        row = self.rows[document_id]
        return {"block_type_slug": row.type_slug, "block_schema_version": row.schema_version}

    def problems(self, document_id: UUID, _above: frozenset[UUID] = frozenset()) -> list[str]:
        """What is damaged in the document and in those that it refers to, as far as can be seen without unsealing."""
        row, above = self.rows[document_id], _above | {document_id}
        found = [*row.problems, *self._lost_references(row, above), *_lost_keys(row, self.ring)]
        for name, child in row.references:
            if child in self.rows and child not in above:
                found += [f"data.{name}: {self.rows[child].title}: {text}" for text in self.problems(child, above)]
        return found

    def references(self, document_id: UUID, _above: frozenset[UUID] = frozenset()) -> tuple[JSONObject, JSONObject]:
        """``{place: {"block_document": …}}`` for every reference: those that are fields, and those that lie deeper."""
        above = _above | {document_id}
        fields: JSONObject = {}
        deep: JSONObject = {}
        for place, child_id in self.rows[document_id].references:
            child = self.rows.get(child_id)
            if child is None or child_id in above:
                continue
            below, deep_below = self.references(child_id, above)
            (deep if "." in place else fields)[place] = {
                "block_document": {
                    "id": str(child.id),
                    "name": child.name,
                    "block_type": {"id": str(child.block_type_id), "name": child.type_name, "slug": child.type_slug},
                    "block_schema_version": child.schema_version,
                    "is_anonymous": child.is_anonymous,
                    "block_document_references": below,
                    "deep_references": deep_below,
                }
            }
        return fields, deep

    def _lost_references(self, row: StoredDocument, above: frozenset[UUID]) -> list[str]:
        return [
            f"data.{name}: it leads back to the block itself."
            if child in above
            else f"data.{name}: there is no block document {child} (any more)."
            for name, child in row.references
            if child not in self.rows or child in above
        ]


def open_data(row: StoredDocument, *, include_secrets: bool) -> JSONObject:
    """The row's own data, references left as they are. Raises DamagedBlock if its secrets are wanted and unreadable."""
    if row.sealed is None:
        return dict(row.data)
    if not include_secrets:
        return block_secrets.put_masks(row.data, row.places)
    return block_secrets.put_back(row.data, unseal_row(row))


def unseal_row(row: StoredDocument) -> block_secrets.Secrets:
    """The secrets of a row by place. Raises DamagedBlock that names the fields whose secrets are lost."""
    if row.sealed is None:
        return []
    fields = ", ".join("data." + ".".join(map(str, place)) for place in row.places)
    try:
        secrets = [(tuple(path), value) for path, value in keys.unseal(row.sealed)]
    except ConfigurationError as error:
        raise row.damaged(f"{fields}: {error.message}.", error) from None
    except (TypeError, ValueError):
        raise row.damaged(f"{fields}: what was sealed there is of no known form.") from None
    for path, _ in secrets:
        if not block_secrets.has_place(row.data, path):
            raise row.damaged(f"data.{'.'.join(map(str, path))}: the object that held this secret is gone.")
    return secrets


def close_data(
    tx: Transaction, data: JSONObject, secret_fields: Iterable[str], also: Iterable[block_secrets.Path] = ()
) -> dict[str, Any]:
    """`data` as the columns that keep it: ``data`` without its secrets, ``sealed`` with nothing but them."""
    rest, secrets = block_secrets.take_out(data, secret_fields, also)
    if not secrets:
        return {"data": rest, "sealed": None}
    hold_keys(tx)
    return {"data": rest, "sealed": {**keys.seal(secrets), "places": [path for path, _ in secrets]}}


def hold_keys(tx: Transaction, *, alone: bool = False) -> None:
    """Until the end of the transaction no key is dropped; `alone`: and nobody else seals."""
    if tx.dialect == "postgresql":
        lock = sa.func.pg_advisory_xact_lock if alone else sa.func.pg_advisory_xact_lock_shared
        tx.execute(sa.select(lock(_SEALING)))


def fetch_documents(tx: Transaction, condition: sa.ColumnElement[bool]) -> Documents:
    """The documents that fulfil `condition`, and all they refer to: one query per level of nesting."""
    rows = _fetch(tx, condition)
    missing = _missing(rows.values(), rows)
    while missing:
        found = _fetch(tx, _DOCUMENT.id.in_(missing))
        rows.update(found)
        missing = _missing(found.values(), rows)
    return Documents(rows, frozenset(key_id for key_id, _ in keys.load().ring))


def lock_document(tx: Transaction, document_id: UUID) -> StoredDocument | None:
    """The document, which nobody else changes until the end of the transaction."""
    tx.execute(sa.select(_DOCUMENT.id).where(_DOCUMENT.id == document_id).with_for_update())
    return _fetch(tx, _DOCUMENT.id == document_id).get(document_id)


def _fetch(tx: Transaction, condition: sa.ColumnElement[bool]) -> dict[UUID, StoredDocument]:
    return {row.id: read_stored(row) for row in tx.execute(select_documents().where(condition))}


def select_documents() -> sa.Select[Any]:
    """Rows for `read_stored`, whose type and schema may be gone."""
    joined = t.block_document.outerjoin(t.block_type, t.block_type.c.id == _DOCUMENT.block_type_id)
    joined = joined.outerjoin(t.block_schema, t.block_schema.c.id == _DOCUMENT.block_schema_id)
    return sa.select(*_COLUMNS).select_from(joined)


def read_stored(row: sa.Row[Any]) -> StoredDocument:
    """A row as a document, with what is wrong with it."""
    values = dict(row._mapping)
    problems: list[str] = []
    data = read_json(values.pop("data"))
    if not isinstance(data, dict):
        problems.append("data: it is no JSON object.")
        data = {}
    sealed = read_json(values.pop("sealed"))
    places: list[block_secrets.Path] = []
    if sealed is not None and not _is_sealed(sealed):
        problems.append("sealed: it is not what a sealed secret looks like.")
        sealed = None
    if sealed is not None:
        for path in map(tuple, sealed["places"]):
            if block_secrets.has_place(data, path):
                places.append(path)
            else:
                problems.append(f"data.{'.'.join(map(str, path))}: the object that held this secret is gone.")
    if row.type_slug is None:
        problems.append(f"block_type_id: there is no block type {row.block_type_id}.")
    try:
        references = tuple(block_references.find_references(data))
    except Invalid as error:
        problems.append(f"data: {error.message}")
        data, sealed, places, references = {}, None, [], ()
    return StoredDocument(
        **values, data=data, sealed=sealed, places=tuple(places), references=references, problems=tuple(problems)
    )


class _NoJson:
    """What a text that is no JSON is read as."""


def read_json(text: str | None) -> Any:
    """JSON data from the text of a column; something that is no JSON data if the text is damaged."""
    if text is None:
        return None
    try:
        return pydantic_core.from_json(text)
    except ValueError:
        return _NoJson()


def _is_sealed(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("key"), str)
        and isinstance(value.get("token"), str)
        and isinstance(value.get("places"), list)
        and all(isinstance(place, list) and place for place in value["places"])
    )


def _lost_keys(row: StoredDocument, ring: frozenset[str]) -> list[str]:
    if row.sealed is None or row.sealed["key"] in ring:
        return []
    fields = ", ".join("data." + ".".join(map(str, place)) for place in row.places)
    return [f"{fields}: sealed with key {row.sealed['key']}, which this server does not have."]


def _missing(rows: Collection[StoredDocument], known: dict[UUID, StoredDocument]) -> set[UUID]:
    return {child for row in rows for _, child in row.references if child not in known}
