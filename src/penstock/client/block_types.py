"""Calls about block types."""

from typing import TYPE_CHECKING, Any
from uuid import UUID

from penstock.client.call import Call, given, nothing, segment

if TYPE_CHECKING:
    from penstock.model.block_documents import BlockDocument
    from penstock.model.block_types import BlockType, BlockTypeCreate, BlockTypeUpdate


def create_block_type(block_type: "BlockTypeCreate") -> "Call[BlockType]":
    """Raises Conflict when sent if there is a type of that slug."""
    return Call("POST", "/block_types/", _block_type, body=block_type)


def read_block_type(block_type_id: UUID) -> "Call[BlockType]":
    return Call("GET", f"/block_types/{segment(block_type_id)}", _block_type)


def read_block_type_by_slug(slug: str) -> "Call[BlockType]":
    return Call("GET", f"/block_types/slug/{segment(slug)}", _block_type)


def read_block_types(
    *,
    block_type_filter: dict[str, Any] | None = None,
    block_schema_filter: dict[str, Any] | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> "Call[list[BlockType]]":
    body = given(block_types=block_type_filter, block_schemas=block_schema_filter, limit=limit, offset=offset)
    return Call("POST", "/block_types/filter", _block_types, body=body)


def read_block_documents_by_type(slug: str, include_secrets: bool = False) -> "Call[list[BlockDocument]]":
    """The documents of one type. `include_secrets`: in clear, which needs the right to see them."""
    query = {"include_secrets": "true"} if include_secrets else None
    return Call("GET", f"/block_types/slug/{segment(slug)}/block_documents", _documents, query=query)


def update_block_type(block_type_id: UUID, block_type: "BlockTypeUpdate") -> Call[None]:
    """Change the fields that `block_type` sets."""
    return Call("PATCH", f"/block_types/{segment(block_type_id)}", nothing, body=block_type, partial=True)


def delete_block_type(block_type_id: UUID) -> Call[None]:
    return Call("DELETE", f"/block_types/{segment(block_type_id)}", nothing)


def _block_type() -> "type[BlockType]":
    from penstock.model.block_types import BlockType

    return BlockType


def _block_types() -> "type[list[BlockType]]":
    from penstock.model.block_types import BlockType

    return list[BlockType]


def _documents() -> "type[list[BlockDocument]]":
    from penstock.model.block_documents import BlockDocument

    return list[BlockDocument]
