from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from penstock.model import block_fields
from penstock.server.database import tables as t
from penstock.server.database.connection import Transaction
from penstock.server.operations.block_document_rows import read_json


def nested_secret_fields(tx: Transaction, data: Any) -> list[str]:
    """The secret places of blocks that `data` holds by value, as ``a.b`` from the top.

    A field that is declared as a base class, or as anything at all, does not say what is secret in it: the type that stands
    there does, in any of its schemas.
    """
    typed = list(_typed(data, ()))
    if not typed:
        return []
    rows = tx.execute(
        sa.select(t.block_type.c.slug, sa.cast(t.block_schema.c.fields, sa.Text).label("fields"))
        .join(t.block_schema, t.block_schema.c.block_type_id == t.block_type.c.id)
        .where(t.block_type.c.slug.in_({slug for _, slug in typed}))
    )
    secret: dict[str, set[str]] = {}
    for row in rows:
        fields = read_json(row.fields)
        if isinstance(fields, dict):
            secret.setdefault(row.slug, set()).update(block_fields.secret_fields(fields))
    return [".".join((*path, field)) for path, slug in typed for field in sorted(secret.get(slug, ()))]


def _typed(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Objects that say which type of block they are. Lists are no part of a path: what holds for one item holds for all."""
    if isinstance(value, list):
        for item in value:
            yield from _typed(item, path)
    elif isinstance(value, dict):
        slug = value.get("block_type_slug")
        if path and isinstance(slug, str):
            yield path, slug
        for key, item in value.items():
            yield from _typed(item, (*path, str(key)))
