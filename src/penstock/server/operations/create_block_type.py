import re

from penstock.errors import Conflict, Invalid
from penstock.model.base import new_id
from penstock.model.block_types import BlockType, BlockTypeCreate
from penstock.server.database import tables as t
from penstock.server.database.connection import Transaction
from penstock.server.database.inserts import insert_if_absent


def create_block_type(tx: Transaction, asked: BlockTypeCreate, *, is_protected: bool = False) -> BlockType:
    """Raises Conflict if the slug is taken, Invalid if it is none."""
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", asked.slug):
        raise Invalid(
            f"slug: {asked.slug!r} is none.",
            hint="A slug has lowercase letters, digits and single dashes between them.",
        )
    values = {
        "id": new_id(),
        "created": tx.now,
        "updated": tx.now,
        "is_protected": is_protected,
        **asked.model_dump(),
    }
    if not insert_if_absent(tx, t.block_type, values):
        raise Conflict(f"A block type with the slug {asked.slug!r} exists already.", code="block_type_exists")
    return BlockType.model_validate(values)
