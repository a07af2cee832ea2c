"""Blocks as they stand in a deployment file, and as documents on the server."""

from typing import Any, cast
from uuid import UUID

from penstock.blocks import reading
from penstock.blocks.base import Block
from penstock.blocks.registration import blocks_in
from penstock.blocks.registry import find_block
from penstock.blocks.typed import VERSION_KEY, TypedBlock
from penstock.blocks.versions import data_version
from penstock.errors import ConfigurationError, NotFound, did_you_mean
from penstock.infrastructure.registry import slug_meant
from penstock.model.attempts import InfrastructureDocument
from penstock.model.base import JSONObject
from penstock.model.block_documents import MASK
from penstock.model.secret_texts import masked

_SLUG_KEYS = ("_block_type_slug", "block_type_slug")
_ORIGIN_KEYS = ("_block_document_id", "_block_document_name", "_is_anonymous")


def is_saved(block: Block | None) -> bool:
    """Whether `block` was saved under a name of its own, so that a file refers to it rather than describing it."""
    return block is not None and block._block_document_id is not None and not block._is_anonymous


def to_file(block: Block | None) -> JSONObject | None:
    """A block as a mapping: its fields in their order, secrets masked, then where it is saved, then its type."""
    if block is None:
        return None
    found: JSONObject = masked(block.model_dump(mode="json"))
    if block._block_document_id is not None:
        found["_block_document_id"] = str(block._block_document_id)
        found["_block_document_name"] = block._block_document_name
        found["_is_anonymous"] = bool(block._is_anonymous)
    version = data_version(block._block_schema_version)
    if version != 1:
        found[VERSION_KEY] = version
    return {**found, **dict.fromkeys(reversed(_SLUG_KEYS), block.get_block_type_slug())}


def from_file(value: Any, field: str) -> Block | None:
    """The block that `value` of a deployment file describes. A saved one is loaded from the server, with secrets.

    Raises ConfigurationError that names `field`.
    """
    if value is None or isinstance(value, Block):
        return value
    if not isinstance(value, dict):
        raise ConfigurationError(f"{field}: expected a block, got {value!r}.")
    slug = next((value[key] for key in _SLUG_KEYS if value.get(key)), slug_meant(str(value.get("type") or "")))
    if not slug:
        _refuse_unknown(None, value, field)
        raise ConfigurationError(f"{field}: the type of the block is missing.", hint="Add `type: process`.")
    name = value.get("_block_document_name")
    data = {key: item for key, item in value.items() if key not in (*_SLUG_KEYS, *_ORIGIN_KEYS)}
    if name and not value.get("_is_anonymous"):
        return _load(str(slug), str(name), data, field)
    try:
        _refuse_masks(data, field)
    except ConfigurationError:
        if not name:
            raise
        try:  # Prefect 2 writes it like this where it has saved the block, under a name that it made up
            return _load(str(slug), str(name), data, field)
        except NotFound:
            pass
        raise
    _refuse_unknown(find_block(str(slug)), data, field)
    return read(str(slug), data, field)


def _load(slug: str, name: str, data: JSONObject, field: str) -> Block:
    """The saved block of that name; `data`, its fields as they were when the file was written, has to name such fields."""
    _refuse_unknown(find_block(slug), data, field)
    return Block.load(f"{slug}/{name}")


def _refuse_unknown(block: type[TypedBlock] | None, data: JSONObject, field: str) -> None:
    """Raise ConfigurationError about a key that the class has not. Data of another version of it is read by its own rules."""
    known = {"type"}
    if block is not None:
        if data_version(data.get(VERSION_KEY)) != data_version(block._block_schema_version):
            return
        known = {name for key, info in block.model_fields.items() for name in (key, info.alias) if name}
    known |= {VERSION_KEY, *_SLUG_KEYS, *_ORIGIN_KEYS}
    for key in data:
        if key not in known:
            what = "A block" if block is None else block.get_block_type_name()
            raise ConfigurationError(f"{field}: {what} has no field {key!r}.{did_you_mean(str(key), known)}")


def saved(reference: str, what: str) -> Block:
    """The saved block that ``type/name`` names. Raises ConfigurationError that says `what` if it names none, NotFound."""
    slug, slash, name = reference.partition("/")
    if not (slug and slash and name):
        raise ConfigurationError(f"{what} {reference!r} does not name a block.", hint=f"Write {what} TYPE/NAME.")
    return Block.load(reference)


def saved_storage(reference: str, what: str = "storage_block") -> tuple[Block, str | None]:
    """The saved block that ``type/name`` or ``type/name/path`` names, and the path."""
    slug, _, rest = reference.partition("/")
    name, _, below = rest.partition("/")
    return saved(f"{slug}/{name}", what), below or None


def read(slug: str, data: JSONObject, field: str) -> Block:
    """The block of type `slug` with `data`. Raises ConfigurationError that names `field` and what is wrong in it."""
    from pydantic import ValidationError

    try:
        return Block.from_document(slug, data)
    except ValidationError as error:
        raise ConfigurationError(f"{field}: {faults(error)}") from None


def faults(error: Any) -> str:
    """A validation error as one line: each place with what is wrong there."""
    lines = []
    for fault in error.errors(include_url=False, include_input=False):
        place = ".".join(str(part) for part in fault["loc"])
        message = str(fault["msg"]).removeprefix("Value error, ")
        lines.append(f"{place}: {message}" if place else message)
    return "; ".join(lines)


def _refuse_masks(data: Any, field: str) -> None:
    if isinstance(data, str) and (MASK in data if "://" in data else len(data) >= 8 and set(data) == {"*"}):
        raise ConfigurationError(
            f"{field} holds a masked secret, which is not its value.",
            hint="Save the block under a name and refer to it: penstock deployment build … "
            f"{'-sb' if field.startswith('storage') else '-ib'} TYPE/NAME",
        )
    if isinstance(data, dict):
        for key, item in data.items():
            _refuse_masks(item, f"{field}.{key}")
    if isinstance(data, list):
        for place, item in enumerate(data):
            _refuse_masks(item, f"{field}.{place}")


def as_claimed(block: Block) -> InfrastructureDocument:
    """An infrastructure block as agents get it: secrets in clear, and in place of references what they refer to."""
    whole = block.model_copy(deep=True)
    for nested in blocks_in(whole):
        nested._block_document_id = None
    return InfrastructureDocument(
        slug=whole.get_block_type_slug(), data=whole.to_document_data(), version=whole.get_block_schema_version()
    )


def from_document(client: Any, document: UUID | None) -> Block | None:
    """The block that a deployment's document holds; an anonymous one is described by value from then on."""
    from penstock.client import block_documents

    if document is None:
        return None
    found = client.send(block_documents.read_block_document(document, include_secrets=True))
    block = reading.read(found)
    if found.is_anonymous:
        block._block_document_id = block._block_document_name = block._is_anonymous = None
    return cast(Block, block)
