"""`Block`, under the name that users of Prefect 2 import it from."""

from penstock.blocks.base import Block as Block
from penstock.model.block_schemas import BlockSchema


def block_schema_to_key(schema: BlockSchema) -> str:
    """What `Block.get_block_class_from_key` finds the schema's class by: the slug of its type."""
    return str(schema.fields.get("block_type_slug"))
