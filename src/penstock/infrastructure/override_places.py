"""Which places an infrastructure block has, by the JSON schema of its fields: where an override may lead. Pure.

A place is described by a schema. Closed places name their parts; maps have free keys, dots included; lists have numbers;
free places (no schema) take anything; all others are single values, which have no parts.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from penstock.errors import ConfigurationError, did_you_mean
from penstock.model.base import JSONObject

#: JSON schema's words for kinds of values, in ours.
_WORDS = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "object": "an object",
    "string": "a text",
}
_OF_JSON: dict[str, tuple[type, ...]] = {
    "array": (list,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "object": (dict,),
}


class Places:
    """The places below `root`, the JSON schema of a block's fields."""

    def __init__(self, root: JSONObject) -> None:
        self.root = root

    def lead(
        self, parts: list[str], schema: JSONObject, path: tuple[str, ...] = ()
    ) -> tuple[tuple[str, ...], JSONObject]:
        """The path that `parts` name from the place `schema`, which lies at `path`, and the schema of where it ends.

        Raises ConfigurationError that says which part there is not, with the nearest one that there is.
        """
        while parts:
            name, *rest = parts
            if self.is_map(schema):
                return (*path, ".".join(parts)), self.part(schema, "")
            fields = self.names(schema)
            if fields is not None and name not in fields:
                raise unknown(name, fields, path)
            if fields is None and not is_list(schema) and not self.is_free(schema):
                inside = ".".join(path)
                raise invalid(f"{inside!r} is {self.words(schema)}, which has no {name!r}.")
            if is_list(schema) and not name.isdigit():
                raise invalid(f"{'.'.join(path)!r} is a list, which has no {name!r}; its items are 0, 1 …")
            schema, path, parts = self.part(schema, name), (*path, name), rest
        return path, schema

    def names(self, schema: JSONObject) -> list[str] | None:
        """The names of the parts of a closed place; None if it is none."""
        fields = schema.get("properties")
        return None if fields is None else [*fields]

    def is_map(self, schema: JSONObject) -> bool:
        """Whether the place is a mapping of free keys to single values."""
        values = schema.get("additionalProperties")
        return isinstance(values, dict) and self.resolve(values).get("type") not in {"object", "array"}

    def is_free(self, schema: JSONObject) -> bool:
        """Whether anything may be set there, and below it."""
        kinds = {*_kinds(schema)}
        held = "properties" in schema or "enum" in schema or is_list(schema) or self.is_map(schema)
        return not held and (not kinds or bool(kinds & {"object", "array"}))

    def part(self, schema: JSONObject, name: str) -> JSONObject:
        """The schema of one part of a place."""
        if "properties" in schema:
            return self.resolve(schema["properties"][name])
        return self.resolve(schema.get("additionalProperties") or schema.get("items") or {})

    def resolve(self, schema: JSONObject) -> JSONObject:
        """The schema behind a reference. Of several possible objects: one with the parts of all."""
        options = schema.get("allOf", [])
        if len(options) == 1:
            return self.resolve(options[0])
        reference = schema.get("$ref")
        if reference is not None:
            found: JSONObject = self.root.get("definitions", {}).get(str(reference).rsplit("/", 1)[-1], {})
            return found
        options = [self.resolve(option) for option in schema.get("oneOf") or schema.get("anyOf") or []]
        parts: JSONObject = {}
        for option in options:
            parts |= option.get("properties") or {}
        return {"type": "object", "properties": parts} if parts else schema

    def words(self, schema: JSONObject) -> str:
        """What belongs into the place, for people."""
        if "enum" in schema:
            return f"one of {', '.join(map(str, schema['enum']))}"
        kinds = dict.fromkeys(_kinds(schema))
        return " or ".join(_WORDS.get(kind, kind) for kind in kinds) or "anything"


def is_list(schema: JSONObject) -> bool:
    """Whether the place is a list."""
    return schema.get("type") == "array"


def fit(value: Any, schema: JSONObject) -> Any:
    """`value` as it is meant in a place with that schema.

    The command line only knows text: where a text does not belong, what is JSON of the right kind is read. The other way
    round, a number or a truth value that is given for a text is its JSON.
    """
    kinds = [*_kinds(schema)]
    if isinstance(value, bool | int | float) and kinds == ["string"] and "enum" not in schema:
        return json.dumps(value)
    if not isinstance(value, str) or not kinds or kinds == ["string"]:
        return value
    try:
        found = json.loads(value)
    except ValueError:
        return value
    if found is None:
        return value if "string" in kinds else None
    if "string" not in kinds:
        return found
    fitting = any(isinstance(found, _OF_JSON.get(kind, ())) for kind in kinds)
    return found if fitting and (not isinstance(found, bool) or "boolean" in kinds) else value


def json_object(value: Any, schema: JSONObject) -> Mapping[str, Any] | None:
    """`value` if it is an object that goes into a place which holds objects; the object that its text is. Else None."""
    holds_objects = "properties" in schema or "object" in _kinds(schema) or not [*_kinds(schema)]
    if isinstance(value, Mapping):
        return value if holds_objects else None
    found = fit(value, {"type": "object"}) if "properties" in schema or "object" in _kinds(schema) else None
    return found if isinstance(found, Mapping) else None


def unknown(name: str, known: list[str], path: tuple[str, ...]) -> ConfigurationError:
    """The error about a name that a closed place has not."""
    where = f" in {'.'.join(path)!r}" if path else " here"
    near = did_you_mean(name, known)
    there = "" if near or len(known) > 12 else f" There is {', '.join(known)}."
    return ConfigurationError(f"there is no {name!r}{where}.{near}{there}", code="unknown_override")


def invalid(message: str) -> ConfigurationError:
    """The error about an override that cannot be."""
    return ConfigurationError(message, code="invalid_override")


def _kinds(schema: JSONObject) -> Iterator[str]:
    """The kinds of JSON values that a schema names; none for a place that takes anything."""
    if "type" in schema:
        yield str(schema["type"])
    for option in schema.get("anyOf") or schema.get("oneOf") or ():
        yield from _kinds(option)
