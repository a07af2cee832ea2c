"""From a document of the server to a block. No I/O.

The class is always the one that the document's type names, at every depth: a field that is declared as a base class holds
what was saved there. Whatever is wrong is told with the document's reference and the field, and never with a value.
"""

import contextlib
from typing import Any, cast

from pydantic import SecretStr, TypeAdapter, ValidationError
from pydantic_core import PydanticUndefined

from penstock.blocks import registry
from penstock.blocks.typed import SLUG_KEY, VERSION_KEY, TypedBlock
from penstock.errors import ConfigurationError
from penstock.model.attempts import InfrastructureDocument
from penstock.model.base import JSONObject
from penstock.model.block_documents import BlockDocument


def read(document: BlockDocument, block: type[TypedBlock] | None = None, validate: bool = True) -> TypedBlock:
    """The block that `document` holds, secrets in clear; of the class `block`, or of the one that its type names.

    Raises ConfigurationError that names the document, and the field or what else is wrong. See `Block.load` for `validate`.
    """
    where = title(document)
    if not isinstance(document.data, dict):
        raise ConfigurationError(f"{where} cannot be loaded: its data is no object.", code="invalid_block")
    version = document.block_schema.version if document.block_schema else None
    try:
        found: type[TypedBlock] = block or registry.find_block(slug_of(document))
        data = _with_types(document)
        loaded = found.model_validate(found.upgrade_data(data, version)) if validate else _lenient(found, data, version)
    except ConfigurationError as error:
        raise ConfigurationError(f"{where} cannot be loaded: {error}", code=error.code, hint=error.hint) from None
    except ValidationError as error:
        raise ConfigurationError(
            f"{where} cannot be loaded: {faults(error)}",
            code="invalid_block",
            hint=f"Save it anew with overwrite=True, or look at it with `penstock block inspect {reference(document)}`.",
        ) from None
    loaded._block_document_id, loaded._block_document_name = document.id, document.name
    loaded._block_schema_id, loaded._block_type_id = document.block_schema_id, document.block_type_id
    loaded._is_anonymous = document.is_anonymous
    return loaded


def claimed_document(document: BlockDocument) -> InfrastructureDocument:
    """The document as a claim carries it."""
    version = document.block_schema.version if document.block_schema else None
    return InfrastructureDocument(
        slug=slug_of(document),
        name=None if document.is_anonymous else document.name,
        version=version,
        data=_with_types(document),
    )


def read_claimed(document: InfrastructureDocument) -> TypedBlock:
    """The block that a claim carries. Raises ConfigurationError, or ValidationError if the data does not fit its class."""
    found: type[TypedBlock] = registry.find_block(document.slug)
    data = document.data if document.version is None else found.upgrade_data(document.data, document.version)
    block = found.model_validate(data)
    block._block_document_name = document.name
    return block


def slug_of(document: BlockDocument) -> str:
    kind = document.block_type or (document.block_schema.block_type if document.block_schema else None)
    return kind.slug if kind else "?"


def reference(document: BlockDocument) -> str:
    """``slug/name``, as people write it."""
    return f"{slug_of(document)}/{document.name or document.id}"


def title(document: BlockDocument) -> str:
    return f"The block {reference(document)}"


def faults(error: ValidationError) -> str:
    """A validation error as one line: each field with what is wrong there; no values."""
    lines = []
    for fault in error.errors(include_url=False, include_input=False, include_context=False):
        place = ".".join(str(part) for part in fault["loc"])
        message = str(fault["msg"]).removeprefix("Value error, ")
        lines.append(f"{place}: {message}" if place else message)
    return "; ".join(lines)


def _with_types(document: BlockDocument) -> JSONObject:
    """The document's data, in which every block that the server put in place of a reference says what it is."""
    data: JSONObject = _copy(document.data)
    _tell_types(data, document.block_document_references, document.deep_references)
    return data


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value


def _tell_types(data: JSONObject, references: JSONObject, deep: JSONObject) -> None:
    for place, entry in [*references.items(), *deep.items()]:
        nested = _find(data, place.split("."))
        told = entry.get("block_document") if isinstance(entry, dict) else None
        if not isinstance(nested, dict) or not isinstance(told, dict):
            continue
        _tell_types(nested, told.get("block_document_references") or {}, told.get("deep_references") or {})
        nested[SLUG_KEY] = told["block_type"]["slug"]
        nested[VERSION_KEY] = told.get("block_schema_version")
        nested["_block_document_id"], nested["_block_document_name"] = str(told["id"]), told.get("name")
        nested["_is_anonymous"] = told.get("is_anonymous", False)


def _find(value: Any, names: list[str]) -> Any:
    """What lies at that place. A key may hold dots itself; the longest that is there is meant."""
    if not names:
        return value
    if isinstance(value, list):
        inside = names[0].isdigit() and int(names[0]) < len(value)
        return _find(value[int(names[0])], names[1:]) if inside else None
    if isinstance(value, dict):
        for length in range(len(names), 0, -1):
            key = ".".join(names[:length])
            if key in value:
                return _find(value[key], names[length:])
    return None


def _lenient(block: type[TypedBlock], data: JSONObject, version: str | None) -> TypedBlock:
    """As much of the block as can be read: a field that cannot be is as it was saved, hidden if it is a secret's."""
    with contextlib.suppress(ConfigurationError):  # else it is taken as it is: that was asked for
        data = block.upgrade_data(data, version)
    values: JSONObject = {}
    for name, field in block.model_fields.items():
        key = name if name in data else field.alias or name
        if key not in data:
            default = field.get_default(call_default_factory=True, validated_data={})
            values[name] = None if default is PydanticUndefined else default
            continue
        try:
            values[name] = TypeAdapter[Any](cast(Any, field.annotation)).validate_python(data[key])
        except (ValidationError, ConfigurationError):
            values[name] = SecretStr(str(data[key])) if "Secret" in str(field.annotation) else data[key]
    return block.model_construct(set(data) & set(block.model_fields), **values)
