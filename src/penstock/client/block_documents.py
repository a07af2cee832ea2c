"""Calls about block documents: saved configuration."""

from typing import TYPE_CHECKING, Any
from uuid import UUID

from penstock.client.call import Call, given, nothing, segment

if TYPE_CHECKING:
    from penstock.model.block_documents import BlockDocument, BlockDocumentCreate, BlockDocumentUpdate


def create_block_document(block_document: "BlockDocumentCreate", include_secrets: bool = True) -> "Call[BlockDocument]":
    """Save a new document. Raises Conflict when sent if there is one of that type and name.

    `include_secrets` concerns the answer only. An anonymous document has no name that would make it unique, so that its
    creation is not repeatable.
    """
    return Call(
        "POST",
        "/block_documents/",
        _block_document,
        body=block_document,
        query=_with_secrets(include_secrets),
        repeatable=block_document.name is not None,
    )


def read_block_document(block_document_id: UUID, include_secrets: bool = True) -> "Call[BlockDocument]":
    path = f"/block_documents/{segment(block_document_id)}"
    return Call("GET", path, _block_document, query=_with_secrets(include_secrets))


def read_block_document_by_name(name: str, block_type_slug: str, include_secrets: bool = True) -> "Call[BlockDocument]":
    path = f"/block_types/slug/{segment(block_type_slug)}/block_documents/name/{segment(name)}"
    return Call("GET", path, _block_document, query=_with_secrets(include_secrets))


def read_block_documents(
    *,
    block_document_filter: dict[str, Any] | None = None,
    block_type_filter: dict[str, Any] | None = None,
    block_schema_filter: dict[str, Any] | None = None,
    include_secrets: bool = False,
    sort: str | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> "Call[list[BlockDocument]]":
    """Documents that fit all filters, which have the shapes of the API. `sort` is a `BlockDocumentSort`."""
    body = given(
        block_documents=block_document_filter,
        block_types=block_type_filter,
        block_schemas=block_schema_filter,
        include_secrets=include_secrets,
        sort=sort,
        limit=limit,
        offset=offset,
    )
    return Call("POST", "/block_documents/filter", _block_documents, body=body)


def update_block_document(block_document_id: UUID, block_document: "BlockDocumentUpdate") -> Call[None]:
    """Change the fields that `block_document` sets."""
    path = f"/block_documents/{segment(block_document_id)}"
    return Call("PATCH", path, nothing, body=block_document, partial=True)


def delete_block_document(block_document_id: UUID) -> Call[None]:
    return Call("DELETE", f"/block_documents/{segment(block_document_id)}", nothing)


def _with_secrets(include: bool) -> dict[str, str]:
    return {"include_secrets": "true" if include else "false"}


def _block_document() -> "type[BlockDocument]":
    from penstock.model.block_documents import BlockDocument

    return BlockDocument


def _block_documents() -> "type[list[BlockDocument]]":
    from penstock.model.block_documents import BlockDocument

    return list[BlockDocument]
