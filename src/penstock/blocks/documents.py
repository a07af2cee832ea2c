"""Blocks on the server: saving, loading and deleting documents. Each call blocks its thread."""

from typing import TYPE_CHECKING, TypeVar, cast
from uuid import UUID

from penstock.blocks import reading, registry
from penstock.blocks.document_checks import DocumentFinding as DocumentFinding
from penstock.blocks.document_checks import check_all as check_all
from penstock.blocks.document_checks import upgrade as upgrade
from penstock.blocks.registration import register_blocks_in, register_class
from penstock.blocks.typed import TypedBlock
from penstock.errors import ConfigurationError, Conflict, Invalid, NotFound, did_you_mean
from penstock.model.base import check_name

if TYPE_CHECKING:
    from penstock.client.sync import SyncClient
    from penstock.model.block_documents import BlockDocumentCreate

B = TypeVar("B", bound=TypedBlock)

#: How often saving over a block begins anew because somebody deleted it in between.
SAVE_ATTEMPTS = 3


def save(block: TypedBlock, name: str | None, overwrite: bool) -> UUID:
    """See `Block.save`."""
    from penstock.client import get_sync_client
    from penstock.model.block_documents import BlockDocumentCreate

    name = name or block._block_document_name
    if name is None:
        raise ConfigurationError("A block needs a name to be saved under: block.save('my-name').")
    check_name(name)
    data = block.to_document_data()
    with get_sync_client() as client:
        type_id, schema_id = _register(client, block)
        asked = BlockDocumentCreate(name=name, data=data, block_type_id=type_id, block_schema_id=schema_id)
        document_id = _create_or_replace(client, block.get_block_type_slug(), asked, overwrite)
    block._block_document_id, block._block_document_name, block._is_anonymous = document_id, name, False
    block._block_type_id, block._block_schema_id = type_id, schema_id
    return document_id


def _create_or_replace(client: "SyncClient", slug: str, asked: "BlockDocumentCreate", overwrite: bool) -> UUID:
    from penstock.client import block_documents
    from penstock.model.block_documents import BlockDocumentUpdate

    name = str(asked.name)
    # Data of an older schema that the class does not know any more must not stay behind.
    change = BlockDocumentUpdate(data=asked.data, block_schema_id=asked.block_schema_id, merge_existing_data=False)
    for _ in range(SAVE_ATTEMPTS):
        refused: Invalid | None = None
        try:
            return client.send(block_documents.create_block_document(asked)).id
        except Invalid as error:
            if not overwrite:
                raise
            refused = error  # a mask is no value of a new document, and keeps the secret of one that is there
        except Conflict:
            if not overwrite:
                raise Conflict(
                    f"A {slug} block named {name!r} exists already.",
                    code="block_exists",
                    hint="Save it with overwrite=True, or under another name.",
                    status=409,
                ) from None
        try:
            known = client.send(block_documents.read_block_document_by_name(name, slug, include_secrets=False))
            client.send(block_documents.update_block_document(known.id, change))
            return known.id
        except NotFound:
            if refused is not None:
                raise refused from None
            continue  # somebody else has just deleted it
    raise Conflict(
        f"The {slug} block {name!r} is being deleted and made anew all the time by somebody else.", status=409
    )


def save_anonymous(block: TypedBlock) -> UUID:
    """Save a block that nobody gave a name, so that others can load it by the id that is returned.

    One that holds the same was perhaps saved by an earlier run, and is found again by what in it is not secret.
    """
    import hashlib

    from penstock.client import block_documents, get_sync_client
    from penstock.model.block_documents import BlockDocumentCreate

    slug, data = block.get_block_type_slug(), block.to_document_data()
    masked = f"{slug} {block.model_dump_json()}"
    name = f"anonymous-{hashlib.sha256(masked.encode()).hexdigest()[:32]}"
    with get_sync_client() as client:
        type_id, schema_id = _register(client, block)
        asked = BlockDocumentCreate(
            name=name, data=data, block_type_id=type_id, block_schema_id=schema_id, is_anonymous=True
        )
        try:
            document_id = client.send(block_documents.create_block_document(asked)).id
        except Conflict:
            known = client.send(block_documents.read_block_document_by_name(name, slug, include_secrets=True))
            if known.data == data:
                document_id = known.id
            else:
                asked = asked.model_copy(update={"name": None})
                document_id = client.send(block_documents.create_block_document(asked)).id
    block._block_document_id, block._is_anonymous = document_id, True
    return document_id


def load_by_id(document_id: UUID, validate: bool = True) -> TypedBlock:
    """The block of that document, whatever its class. Raises as `Block.load` does."""
    from penstock.client import block_documents, get_sync_client

    with get_sync_client() as client:
        document = client.send(block_documents.read_block_document(document_id, include_secrets=True))
    return reading.read(document, validate=validate)


def load(block: type[B], name: str, validate: bool = True) -> B:
    """See `Block.load`."""
    from penstock.client import block_documents, get_sync_client

    found, slug, name = _resolve_name(block, name)
    with get_sync_client() as client:
        try:
            document = client.send(block_documents.read_block_document_by_name(name, slug, include_secrets=True))
        except NotFound:
            raise _not_found(client, slug, name) from None
    return cast(B, reading.read(document, found, validate))


def delete(block: type[TypedBlock], name: str) -> None:
    """See `Block.delete`."""
    from penstock.client import block_documents, get_sync_client

    _, slug, name = _resolve_name(block, name)
    with get_sync_client() as client:
        try:
            document = client.send(block_documents.read_block_document_by_name(name, slug))
        except NotFound:
            raise _not_found(client, slug, name) from None
        client.send(block_documents.delete_block_document(document.id))


def _resolve_name(block: type[B], name: str) -> tuple[type[B], str, str]:
    """The class, slug and document name that `block` and ``name`` or ``slug/name`` stand for."""
    if "/" in name:
        slug, _, name = name.partition("/")
        found = registry.find_block(slug)
        if not issubclass(found, block):
            raise ConfigurationError(
                f"{slug}/{name} is no {block.get_block_type_name()} block.",
                code="wrong_block_type",
                hint=f"Load it with {found.__name__}.load({name!r}) or Block.load('{slug}/{name}').",
            )
        return found, slug, name
    if block.is_base():
        raise ConfigurationError(f"{block.__name__}.load needs the type too: {block.__name__}.load('slug/{name}').")
    return block, block.get_block_type_slug(), name


def _not_found(client: "SyncClient", slug: str, name: str) -> NotFound:
    from penstock.client import block_types

    try:
        names = [document.name or "" for document in client.send(block_types.read_block_documents_by_type(slug))]
    except NotFound:
        return NotFound(f"There is no {slug} block named {name!r}: none was ever saved.", status=404)
    return NotFound(f"There is no {slug} block named {name!r}.{did_you_mean(name, names)}", status=404)


def _register(client: "SyncClient", block: TypedBlock) -> tuple[UUID, UUID]:
    register_blocks_in(client, block)
    return register_class(client, type(block))
