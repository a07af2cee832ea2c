"""A block class as a JSON schema in the shape of the wire: `definitions`, no null types, `enum` for one value too."""

import types
import typing
from collections.abc import Iterator
from typing import Any

from penstock.blocks.registry import BlockClass
from penstock.model import block_fields
from penstock.model.base import JSONObject


def block_schema(block: BlockClass) -> JSONObject:
    """The `fields` of the block's schema on the server."""
    raw = block.model_json_schema(ref_template="#/definitions/{model}")
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


def describe(block: BlockClass) -> JSONObject:
    """What makes a JSON schema that of a block: its slug and the schemas of the blocks it holds."""
    references: JSONObject = {}
    for name, field in block.model_fields.items():
        found = [
            {"block_type_slug": nested.get_block_type_slug(), "block_schema_checksum": block_checksum(nested)}
            for nested in _blocks_in(field.annotation)
            if nested is not block
        ]
        if found:
            references[name] = found[0] if len(found) == 1 else found
    return {
        "block_type_slug": block.get_block_type_slug(),
        "secret_fields": [],
        "block_schema_references": references,
    }


def _blocks_in(annotation: Any) -> Iterator[BlockClass]:
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        # A base class without fields stands for any block: it has no schema of its own.
        if hasattr(annotation, "get_block_type_slug") and getattr(annotation, "model_fields", None):
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
