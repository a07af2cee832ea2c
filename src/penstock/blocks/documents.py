"""Blocks on the server: registering a class, saving, loading and deleting documents. Each call blocks its thread."""

from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

from penstock.blocks import registry, schema
from penstock.blocks.typed import SLUG_KEY, TypedBlock
from penstock.errors import ConfigurationError, Conflict, NotFound, did_you_mean
from penstock.model.base import JSONObject, check_name

if TYPE_CHECKING:
    from penstock.client.sync import SyncClient
    from penstock.model.block_documents import BlockDocument

B = TypeVar("B", bound=TypedBlock)


def register(block: type[TypedBlock]) -> tuple[UUID, UUID]:
    """Make the server know the class and those of the blocks it holds. Returns the ids of its type and its schema."""
    from penstock.client import get_sync_client

    with get_sync_client() as client:
        return _register(client, block)


def save(block: TypedBlock, name: str | None, overwrite: bool) -> UUID:
    """See `Block.save`."""
    from penstock.client import block_documents, get_sync_client
    from penstock.model.block_documents import BlockDocumentCreate, BlockDocumentUpdate

    name = name or block._block_document_name
    if name is None:
        raise ConfigurationError("A block needs a name to be saved under: block.save('my-name').")
    check_name(name)
    with get_sync_client() as client:
        type_id, schema_id = _register(client, type(block))
        slug, data = block.get_block_type_slug(), block.to_document_data()
        asked = BlockDocumentCreate(name=name, data=data, block_type_id=type_id, block_schema_id=schema_id)
        try:
            document_id = client.send(block_documents.create_block_document(asked)).id
        except Conflict:
            if not overwrite:
                raise Conflict(
                    f"A {slug} block named {name!r} exists already.",
                    code="block_exists",
                    hint="Save it with overwrite=True, or under another name.",
                    status=409,
                ) from None
            document_id = client.send(block_documents.read_block_document_by_name(name, slug)).id
            # Data of an older schema that the class does not know any more must not stay behind.
            change = BlockDocumentUpdate(data=data, block_schema_id=schema_id, merge_existing_data=False)
            client.send(block_documents.update_block_document(document_id, change))
    block._block_document_id, block._block_document_name, block._is_anonymous = document_id, name, False
    return document_id


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
        type_id, schema_id = _register(client, type(block))
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


def load_by_id(document_id: UUID) -> TypedBlock:
    """The block of that document, whatever its class. Raises NotFound."""
    from penstock.client import block_documents, get_sync_client

    with get_sync_client() as client:
        document = client.send(block_documents.read_block_document(document_id, include_secrets=True))
    slug = document.block_type.slug if document.block_type else ""
    loaded: TypedBlock = registry.find_block(slug).model_validate(
        _with_slugs(document.data, document.block_document_references)
    )
    _remember_origin(loaded, document)
    return loaded


def load(block: type[B], name: str) -> B:
    """See `Block.load`."""
    from penstock.client import block_documents, get_sync_client

    found, slug, name = _resolve_name(block, name)
    with get_sync_client() as client:
        try:
            document = client.send(block_documents.read_block_document_by_name(name, slug, include_secrets=True))
        except NotFound:
            raise _not_found(client, slug, name) from None
    data = _with_slugs(document.data, document.block_document_references)
    loaded = found.model_validate(data)
    _remember_origin(loaded, document)
    return loaded


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
            raise ConfigurationError(f"{slug}/{name} is no {block.get_block_type_name()} block.")
        return found, slug, name
    if not block.model_fields:
        raise ConfigurationError(f"{block.__name__}.load needs the type too: {block.__name__}.load('slug/{name}').")
    return block, block.get_block_type_slug(), name


def _not_found(client: "SyncClient", slug: str, name: str) -> NotFound:
    from penstock.client import block_types

    try:
        names = [document.name or "" for document in client.send(block_types.read_block_documents_by_type(slug))]
    except NotFound:
        return NotFound(f"There is no {slug} block named {name!r}: none was ever saved.", status=404)
    return NotFound(f"There is no {slug} block named {name!r}.{did_you_mean(name, names)}", status=404)


def _register(client: "SyncClient", block: type[TypedBlock]) -> tuple[UUID, UUID]:
    from penstock.client import block_schemas
    from penstock.model.block_schemas import BlockSchemaCreate

    for nested in schema.nested_blocks(block):
        _register(client, nested)
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
        return client.send(block_types.create_block_type(asked)).id
    if any(getattr(known, key) != value for key, value in about.items()):
        client.send(block_types.update_block_type(known.id, BlockTypeUpdate(**about)))
    return known.id


def _with_slugs(data: JSONObject, references: JSONObject) -> JSONObject:
    """`data` with the type of each block that the server put in place of a reference."""
    told = dict(data)
    for field, reference in references.items():
        document = reference["block_document"]
        if isinstance(told.get(field), dict):
            nested = _with_slugs(told[field], document.get("block_document_references") or {})
            told[field] = {**nested, SLUG_KEY: document["block_type"]["slug"]}
    return told


def _remember_origin(block: TypedBlock, document: "BlockDocument") -> None:
    block._block_document_id, block._block_document_name = document.id, document.name
    block._is_anonymous = document.is_anonymous
    _remember_references(block, document.block_document_references)


def _remember_references(block: TypedBlock, references: JSONObject) -> None:
    for field, reference in references.items():
        nested, told = getattr(block, field, None), reference["block_document"]
        if isinstance(nested, TypedBlock):
            nested._block_document_id, nested._block_document_name = UUID(str(told["id"])), told["name"]
            nested._is_anonymous = told.get("is_anonymous", False)
            _remember_references(nested, told.get("block_document_references") or {})
