"""The fields of a block type as people read them, told from its JSON schema. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from penstock.errors import ConfigurationError, did_you_mean

Schema = Mapping[str, Any]

#: The slug that a field has which takes blocks of every type.
ANY = "block"
_LIMITS = {
    "minimum": "at least",
    "exclusiveMinimum": "more than",
    "maximum": "at most",
    "exclusiveMaximum": "less than",
    "multipleOf": "a multiple of",
    "minLength": "characters, at least",
    "maxLength": "characters, at most",
    "minItems": "items, at least",
    "maxItems": "items, at most",
    "pattern": "matches",
}
_FORMATS = {"date-time": "date and time", "date-span": "duration", "uri": "URL"}


@dataclass(frozen=True)
class BlockField:
    """One field. `type` and `constraints` are words; `slugs` are the block types that it may hold, if it holds blocks.

    `default` None: there is none, or it is null. `below` is the name of the definition of which an object consists.
    """

    name: str
    type: str
    required: bool
    secret: bool
    default: Any
    meaning: str
    constraints: str
    choices: tuple[Any, ...]
    slugs: tuple[str, ...]
    below: str | None
    schema: Schema

    @property
    def default_text(self) -> str:
        """The default as it is shown: nothing where there is none."""
        if self.default is None or self.default in ({}, [], ""):
            return ""
        return self.default if isinstance(self.default, str) else json.dumps(self.default, ensure_ascii=False)

    def row(self) -> dict[str, Any]:
        """The field as plain JSON, for commands that print data."""
        return {
            "name": self.name,
            "type": self.type,
            "required": self.required,
            "secret": self.secret,
            "default": self.default,
            "constraints": self.constraints,
            "meaning": self.meaning,
        }


def fields_of(schema: Schema, root: Schema | None = None) -> list[BlockField]:
    """The fields that `schema` describes, required ones first. `root` holds the definitions; by default `schema` does."""
    root = schema if root is None else root
    required = set(schema.get("required") or ())
    listed = set(schema.get("secret_fields") or ())
    properties: Mapping[str, Schema] = schema.get("properties") or {}
    found = [_field(name, told, root, name in required, name in listed) for name, told in properties.items()]
    return sorted(found, key=lambda field: not field.required)


def find_field(fields: list[BlockField], name: str, slug: str) -> BlockField:
    """The field of that name. Raises ConfigurationError with the nearest one."""
    for field in fields:
        if field.name == name:
            return field
    near = did_you_mean(name, [field.name for field in fields])
    raise ConfigurationError(
        f"The block type {slug!r} has no field {name!r}.{near}", hint=f"See `penstock block type inspect {slug}`."
    )


def _field(name: str, told: Schema, root: Schema, required: bool, listed: bool) -> BlockField:
    schema = flatten(told, root)
    options = options_of(schema, root)
    slugs = block_slugs(options)
    choices = tuple(schema.get("enum") or ())
    is_object = "properties" in schema and not slugs
    return BlockField(
        name=name,
        type=" or ".join(dict.fromkeys(type_of(option, root) for option in options)),
        required=required,
        secret=listed or any(is_secret(option) for option in options),
        default=told.get("default"),
        meaning=" ".join(str(told.get("description") or "").split()),
        constraints="; ".join(_constraints(option) for option in options if _constraints(option)),
        choices=choices,
        slugs=slugs,
        below=str(schema.get("title")) if is_object else None,
        schema=schema,
    )


def options_of(schema: Schema, root: Schema) -> list[Schema]:
    """What a value may be one of: `schema` itself if it leaves no choice."""
    return [flatten(option, root) for option in schema.get("anyOf") or schema.get("oneOf") or [schema]]


def block_slugs(options: list[Schema]) -> tuple[str, ...]:
    """The types of blocks among the options."""
    return tuple(dict.fromkeys(str(option["block_type_slug"]) for option in options if "block_type_slug" in option))


def flatten(schema: Schema, root: Schema) -> Schema:
    """`schema` with what it refers to in place; what it says itself wins."""
    found: dict[str, Any] = {}
    for part in [*(schema.get("allOf") or []), *([{"$ref": schema["$ref"]}] if "$ref" in schema else [])]:
        reference = part.get("$ref")
        name = str(reference).rsplit("/", 1)[-1]
        found.update(flatten((root.get("definitions") or {}).get(name, {}) if reference else part, root))
    if len(found) == 0:
        return schema
    title = found.get("title")
    found.update({key: value for key, value in schema.items() if key not in {"allOf", "$ref"}})
    if "properties" in found:
        found["title"] = title
    return found


def is_secret(schema: Schema) -> bool:
    """Whether the value, or each value of a mapping or list, is secret."""
    if schema.get("writeOnly") is True or schema.get("format") == "password":
        return True
    return any(is_secret(below) for below in _below(schema))


def _below(schema: Schema) -> list[Schema]:
    return [schema[key] for key in ("items", "additionalProperties") if isinstance(schema.get(key), Mapping)]


def type_of(told: Schema, root: Schema) -> str:
    """The type in words: "string", "list of integer", "process block", "one of ALWAYS, NEVER"."""
    schema = flatten(told, root)
    if "block_type_slug" in schema:
        return "any block" if schema["block_type_slug"] == ANY else f"{schema['block_type_slug']} block"
    if schema.get("enum"):
        values = [value if isinstance(value, str) else json.dumps(value) for value in schema["enum"]]
        return values[0] if len(values) == 1 else f"one of {', '.join(values)}"
    options = schema.get("anyOf") or schema.get("oneOf")
    if options:
        return " or ".join(dict.fromkeys(type_of(option, root) for option in options))
    kind = schema.get("type")
    if kind == "array":
        return f"list of {type_of(schema['items'], root)}" if schema.get("items") else "list"
    if kind == "object" and isinstance(schema.get("additionalProperties"), Mapping):
        return f"map of {type_of(schema['additionalProperties'], root)}"
    if kind == "object":
        return str(schema["title"]) if "properties" in schema and schema.get("title") else "object"
    if kind == "string":
        return _FORMATS.get(str(schema.get("format")), "string")
    return str(kind) if kind else ("string" if is_secret(schema) else "any")


def _constraints(schema: Schema) -> str:
    return ", ".join(f"{words} {schema[key]}" for key, words in _LIMITS.items() if key in schema)
