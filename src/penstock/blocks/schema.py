"""A block class as a JSON schema in the shape of the wire: `definitions`, no null types, `enum` for one value too."""

import types
import typing
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from penstock.blocks.registry import BlockClass
from penstock.model import block_fields
from penstock.model.base import JSONObject


def block_schema(block: BlockClass) -> JSONObject:
    """The `fields` of the block's schema on the server."""
    raw = block.model_json_schema(ref_template="#/definitions/{model}")
    if "$ref" in raw:  # a type that holds itself is a definition of its own schema
        raw = {**raw["$defs"][raw.pop("$ref").rsplit("/", 1)[-1]], **raw}
    definitions = {name: _plain(schema) for name, schema in raw.pop("$defs", {}).items()}
    fields: JSONObject = _plain(raw)
    if definitions:
        fields["definitions"] = definitions
        for definition in definitions.values():
            if "block_type_slug" in definition:
                definition["secret_fields"] = block_fields.secret_fields({**definition, "definitions": definitions})
    fields["secret_fields"] = block_fields.secret_fields(fields)
    return fields


def block_checksum(block: BlockClass) -> str:
    """The checksum that the server will compute for this class."""
    return block_fields.checksum(block_schema(block))


def about(block: BlockClass) -> dict[str, str | None]:
    """What people are told about the type: its description, an example, where to read on."""
    return {
        "logo_url": block._logo_url,
        "documentation_url": block._documentation_url,
        "description": block.get_description(),
        "code_example": block.get_code_example(),
    }


def nested_blocks(block: BlockClass) -> list[BlockClass]:
    """The block classes that its fields may hold, each once."""
    found = (nested for field in block.model_fields.values() for nested in _blocks_in(field.annotation))
    return [nested for nested in dict.fromkeys(found) if nested is not block]


#: Classes that are being described: those that hold each other know each other without checksums.
_being_described: ContextVar[tuple[BlockClass, ...]] = ContextVar("being_described", default=())


def describe(block: BlockClass) -> JSONObject:
    """What makes a JSON schema that of a block: its slug and the schemas of the blocks it holds."""
    references: JSONObject = {}
    above = (*_being_described.get(), block)
    token = _being_described.set(above)
    try:
        for name, field in block.model_fields.items():
            found = [
                {"block_type_slug": nested.get_block_type_slug(), "block_schema_checksum": block_checksum(nested)}
                for nested in dict.fromkeys(_blocks_in(field.annotation))
                if nested not in above
            ]
            if found:
                references[name] = found[0] if len(found) == 1 else found
    finally:
        _being_described.reset(token)
    return {
        "block_type_slug": block.get_block_type_slug(),
        "secret_fields": [],
        "block_schema_references": references,
    }


def _blocks_in(annotation: Any) -> Iterator[BlockClass]:
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        # A base class stands for any block that derives from it: it has no schema of its own.
        is_base = getattr(annotation, "is_base", None)
        if is_base is not None and not is_base():
            yield annotation
        return
    for argument in typing.get_args(annotation):
        yield from _blocks_in(argument)


def _plain(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    plain: JSONObject = {}
    for keyword, value in schema.items():
        if keyword == "properties":  # its keys are names, not keywords
            plain[keyword] = {name: _plain(item) for name, item in value.items()}
        elif keyword == "default":  # data, not schema
            if value is not None:
                plain[keyword] = value
        elif keyword == "const":
            plain["enum"] = [value]
        elif keyword != "additionalProperties" or value is not True:
            plain[keyword] = _plain(value)
    options = [option for option in plain.get("anyOf", []) if option != {"type": "null"}]
    if len(options) == 1:
        del plain["anyOf"]
        plain = {**options[0], **plain}
    elif options:
        plain["anyOf"] = options
    if "$ref" in plain and len(plain) > 1:
        plain["allOf"] = [{"$ref": plain.pop("$ref")}]
    return plain
