"""Calls about block schemas."""

from typing import TYPE_CHECKING, Any
from uuid import UUID

from penstock.client.call import Call, given, nothing, segment

if TYPE_CHECKING:
    from penstock.model.block_schemas import BlockSchema, BlockSchemaCreate


def create_block_schema(block_schema: "BlockSchemaCreate") -> "Call[BlockSchema]":
    """Create a schema; the one with the same checksum and version is returned as it is."""
    return Call("POST", "/block_schemas/", _block_schema, body=block_schema)


def read_block_schema(block_schema_id: UUID) -> "Call[BlockSchema]":
    return Call("GET", f"/block_schemas/{segment(block_schema_id)}", _block_schema)


def read_block_schema_by_checksum(checksum: str, version: str | None = None) -> "Call[BlockSchema]":
    query = {"version": version} if version else None
    return Call("GET", f"/block_schemas/checksum/{segment(checksum)}", _block_schema, query=query)


def read_block_schemas(
    *, block_schema_filter: dict[str, Any] | None = None, limit: int | None = None, offset: int = 0
) -> "Call[list[BlockSchema]]":
    body = given(block_schemas=block_schema_filter, limit=limit, offset=offset)
    return Call("POST", "/block_schemas/filter", _block_schemas, body=body)


def delete_block_schema(block_schema_id: UUID) -> Call[None]:
    return Call("DELETE", f"/block_schemas/{segment(block_schema_id)}", nothing)


def _block_schema() -> "type[BlockSchema]":
    from penstock.model.block_schemas import BlockSchema

    return BlockSchema


def _block_schemas() -> "type[list[BlockSchema]]":
    from penstock.model.block_schemas import BlockSchema

    return list[BlockSchema]
