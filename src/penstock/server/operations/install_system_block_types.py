import json
from functools import cache
from importlib import resources
from typing import Any

import sqlalchemy as sa

from penstock.model.base import new_id
from penstock.model.block_types import BlockTypeCreate
from penstock.server.database import tables as t
from penstock.server.database.connection import Transaction
from penstock.server.database.inserts import insert_if_absent
from penstock.server.operations.create_block_type import create_block_type

#: Described by `penstock.blocks.catalogue` from the classes; the server sees data, not classes.
CATALOGUE = "block_catalogue.json"

_ABOUT = ("name", "logo_url", "documentation_url", "description", "code_example", "is_protected")


@cache
def read_catalogue() -> list[dict[str, Any]]:
    """The block types that come with Penstock, each with its schema."""
    text = resources.files("penstock.server.database").joinpath(CATALOGUE).read_text()
    catalogue: list[dict[str, Any]] = json.loads(text)
    return catalogue


def install_system_block_types(tx: Transaction) -> None:
    """Make the types that come with Penstock, and their schemas, exist as this version describes them."""
    known = {row.slug: row for row in tx.execute(sa.select(t.block_type))}
    schemas = {tuple(row) for row in tx.execute(sa.select(t.block_schema.c.checksum, t.block_schema.c.version))}
    for entry in read_catalogue():
        about = {key: entry[key] for key in _ABOUT}
        row = known.get(entry["slug"])
        if row is None:
            protected = about.pop("is_protected")
            type_id = create_block_type(tx, BlockTypeCreate(slug=entry["slug"], **about), is_protected=protected).id
        else:
            type_id = row.id
            if any(row._mapping[key] != value for key, value in about.items()):
                tx.execute(t.block_type.update().where(t.block_type.c.id == type_id).values(**about, updated=tx.now))
        schema = entry["schema"]
        if (schema["checksum"], schema["version"]) not in schemas:
            stamps = {"id": new_id(), "created": tx.now, "updated": tx.now, "block_type_id": type_id}
            insert_if_absent(tx, t.block_schema, {**stamps, **schema})
