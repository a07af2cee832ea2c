"""Which saved blocks can be loaded here, which are old, and which refer to what is gone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from penstock.blocks import reading, registry, versions
from penstock.blocks.registration import register_blocks_in, register_class
from penstock.blocks.typed import TypedBlock
from penstock.errors import APIError, ConfigurationError
from penstock.model.findings import Finding

if TYPE_CHECKING:
    from penstock.client.sync import SyncClient
    from penstock.model.block_documents import BlockDocument

#: Documents that are asked for at once.
PAGE = 100


@dataclass(frozen=True)
class DocumentFinding:
    """What is to be said of one saved block. `reference` is ``slug/name``; `block` is None if it cannot be loaded.

    `upgradeable`: it can be loaded, but was saved with an older schema, and `upgrade` saves it with the present one.
    """

    reference: str
    document_id: UUID
    finding: Finding
    upgradeable: bool = False
    block: TypedBlock | None = None


def check_all(client: "SyncClient", references: Sequence[str] = ()) -> list[DocumentFinding]:
    """A finding for each saved block, by reference; of those that `references` name (``slug/name``) if there are any.

    Nothing is changed, and nothing but the server is asked: see `Block.check` for credentials and the like.
    Raises what the client raises.
    """
    wanted = set(references)
    found: list[DocumentFinding] = []
    for document_id, name in _documents(client):
        if not wanted or name in wanted:
            found.append(_check(client, document_id, name))
    return sorted(found, key=lambda one: one.reference)


def upgrade(client: "SyncClient", document_id: UUID) -> bool:
    """Save the document with its class's present schema and version; whether there was anything to do.

    Raises ConfigurationError if it cannot be loaded, NotFound if it is gone.
    """
    from penstock.client import block_documents
    from penstock.model.block_documents import BlockDocumentUpdate

    document = client.send(block_documents.read_block_document(document_id, include_secrets=True))
    block = reading.read(document)
    register_blocks_in(client, block)
    _, schema_id = register_class(client, type(block))
    if schema_id == document.block_schema_id:
        return False
    change = BlockDocumentUpdate(data=block.to_document_data(), block_schema_id=schema_id, merge_existing_data=False)
    client.send(block_documents.update_block_document(document_id, change))
    return True


def _documents(client: "SyncClient") -> Iterator[tuple[UUID, str]]:
    """Id and reference of every named document. Without their secrets: one that cannot be opened must not hide the rest."""
    from penstock.client import block_documents

    offset = 0
    while True:
        call = block_documents.read_block_documents(limit=PAGE, offset=offset, sort="BLOCK_TYPE_AND_NAME_ASC")
        page = client.send(call)
        yield from ((document.id, reading.reference(document)) for document in page)
        if len(page) < PAGE:
            return
        offset += PAGE


def _check(client: "SyncClient", document_id: UUID, name: str) -> DocumentFinding:
    from penstock.client import block_documents

    tried = "loading it"
    try:
        document = client.send(block_documents.read_block_document(document_id, include_secrets=True))
        block = reading.read(document)
    except (ConfigurationError, APIError) as error:
        return DocumentFinding(name, document_id, Finding(tried, False, str(error), error.hint or ""))
    old = _age(document)
    if old is not None:
        finding = Finding("its schema", False, old, "Upgrade it: penstock block check --fix.")
        return DocumentFinding(name, document_id, finding, upgradeable=True, block=block)
    return DocumentFinding(name, document_id, Finding(tried, True, "it is up to date"), block=block)


def _age(document: "BlockDocument") -> str | None:
    """How the document's schema differs from the present one of its class; None if it does not."""
    from penstock.blocks import schema

    if document.block_schema is None:
        return "its schema is gone"
    block = registry.find_block(reading.slug_of(document))
    saved = document.block_schema
    old, new = versions.data_version(saved.version), versions.data_version(block._block_schema_version)
    if old != new:
        return f"it was saved with version {old}, the present one is {new}"
    if saved.checksum != schema.block_checksum(block):
        return "its class has changed since it was saved"
    return None
