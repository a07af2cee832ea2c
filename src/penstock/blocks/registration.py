"""Making the server know block classes: their types and schemas."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pydantic import BaseModel

from penstock.blocks import schema
from penstock.blocks.typed import TypedBlock
from penstock.errors import ConfigurationError, Conflict, NotFound

if TYPE_CHECKING:
    from penstock.client.sync import SyncClient


def register(block: type[TypedBlock]) -> tuple[UUID, UUID]:
    """Make the server know the class and those of the blocks it holds. Returns the ids of its type and its schema.

    Raises ConfigurationError for a class that only others derive from.
    """
    from penstock.client import get_sync_client

    with get_sync_client() as client:
        return register_class(client, block)


def register_class(client: "SyncClient", block: type[TypedBlock]) -> tuple[UUID, UUID]:
    """See `register`."""
    if block.is_base():
        raise ConfigurationError(f"{block.__name__} is no block type: only others derive from it.")
    return _register(client, block, set())


def register_blocks_in(client: "SyncClient", block: TypedBlock) -> None:
    """Make the server know the classes of the blocks that `block` holds by value: it must know what in them is secret."""
    known = {type(block)}
    for nested in blocks_in([getattr(block, name) for name in type(block).model_fields]):
        if type(nested) not in known and nested._block_document_id is None:
            known.add(type(nested))
            register_class(client, type(nested))


def blocks_in(value: Any) -> Iterator[TypedBlock]:
    """The blocks in `value`, itself included, at any depth."""
    if isinstance(value, TypedBlock):
        yield value
    if isinstance(value, BaseModel):
        value = [getattr(value, name) for name in type(value).model_fields]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from blocks_in(item)


def _register(client: "SyncClient", block: type[TypedBlock], under_way: set[type]) -> tuple[UUID, UUID]:
    from penstock.client import block_schemas
    from penstock.model.block_schemas import BlockSchemaCreate

    under_way.add(block)
    for nested in schema.nested_blocks(block):
        if nested not in under_way:
            _register(client, nested, under_way)
    type_id = _register_type(client, block)
    version = block.get_block_schema_version()
    try:
        known = client.send(block_schemas.read_block_schema_by_checksum(schema.block_checksum(block), version))
    except NotFound:
        asked = BlockSchemaCreate(
            fields=schema.block_schema(block),
            block_type_id=type_id,
            capabilities=sorted(block.get_block_capabilities()),
            version=version,
        )
        known = client.send(block_schemas.create_block_schema(asked))
    return type_id, known.id


def _register_type(client: "SyncClient", block: type[TypedBlock]) -> UUID:
    from penstock.client import block_types
    from penstock.model.block_types import BlockTypeCreate, BlockTypeUpdate

    about = schema.about(block)
    slug = block.get_block_type_slug()
    try:
        known = client.send(block_types.read_block_type_by_slug(slug))
    except NotFound:
        asked = BlockTypeCreate(name=block.get_block_type_name(), slug=slug, **about)
        try:
            return client.send(block_types.create_block_type(asked)).id
        except Conflict:  # somebody else has just made it
            known = client.send(block_types.read_block_type_by_slug(slug))
    if any(getattr(known, key) != value for key, value in about.items()):
        client.send(block_types.update_block_type(known.id, BlockTypeUpdate(**about)))
    return known.id
