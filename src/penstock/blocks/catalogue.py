"""The catalogue of block types that the server ships as data.

Written by ``python -m penstock.blocks.catalogue > src/penstock/server/database/block_catalogue.json``; a test holds it
true.
"""

import json
from typing import Any

from penstock.blocks import registry, schema
from penstock.blocks.registry import BlockClass

#: Types that Penstock itself needs, and that therefore cannot be deleted.
PROTECTED = frozenset({"bundle", "date-time", "json", "local-file-system", "process", "secret", "string"})


def describe_block(block: BlockClass) -> dict[str, Any]:
    """One entry of the catalogue: the type, and its schema with the checksum."""
    slug = block.get_block_type_slug()
    return {
        "slug": slug,
        "name": block.get_block_type_name(),
        **schema.about(block),
        "is_protected": slug in PROTECTED,
        "schema": {
            "checksum": schema.block_checksum(block),
            "version": block.get_block_schema_version(),
            "capabilities": sorted(block.get_block_capabilities()),
            "fields": schema.block_schema(block),
        },
    }


def render() -> str:
    """The whole catalogue as JSON, by slug: the blocks that Penstock's own distribution announces."""
    return json.dumps([describe_block(block) for block in registry.own_blocks()], indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    print(render(), end="")
