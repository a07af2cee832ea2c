"""What a block schema's JSON schema (its `fields`) says: its checksum, and where in a document secrets lie.

Server and client compute both with these functions, so that they cannot disagree.
"""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from penstock.model.base import JSONObject

_DEFINITIONS = "#/definitions/"


def checksum(fields: JSONObject) -> str:
    """``sha256:…`` of a block's JSON schema.

    Secret markers are left out, and so are the definitions of other blocks: these have checksums of their own.
    """
    bare = _without_secret_fields(fields)
    definitions = bare.pop("definitions", {})
    used = _plain_definitions(bare, definitions)
    if used:
        bare["definitions"] = used
    text = json.dumps([[bare], {}], sort_keys=True)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def _without_secret_fields(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_secret_fields(item) for key, item in value.items() if key != "secret_fields"}
    return value


def _plain_definitions(schema: JSONObject, definitions: JSONObject) -> JSONObject:
    """Those of `definitions` that `schema` needs, directly or through another, and that are no blocks."""
    used: JSONObject = {}
    waiting = list(_references(schema))
    while waiting:
        name = waiting.pop()
        definition = definitions.get(name)
        if definition is None or name in used or "block_type_slug" in definition:
            continue
        used[name] = definition
        waiting.extend(_references(definition))
    return used


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        reference = value.get("$ref")
        if isinstance(reference, str) and reference.startswith(_DEFINITIONS):
            yield reference.removeprefix(_DEFINITIONS)
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)


def secret_fields(fields: JSONObject) -> list[str]:
    """The secret places of a document with this schema: ``a``, ``a.b``, or ``a.*`` for every key below ``a``.

    Those the schema lists, and besides every property that it marks as write-only or as a password.
    """
    listed: list[str] = [name for name in fields.get("secret_fields") or [] if isinstance(name, str)]
    found = (".".join(path) for path in _marked(fields, fields.get("definitions") or {}, (), frozenset()))
    return list(dict.fromkeys([*listed, *found]))


def _marked(
    schema: Any, definitions: JSONObject, path: tuple[str, ...], open_names: frozenset[str]
) -> Iterator[tuple[str, ...]]:
    if not isinstance(schema, dict):
        return
    if path and (schema.get("writeOnly") is True or schema.get("format") == "password"):
        yield path
        return
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith(_DEFINITIONS):
        name = reference.removeprefix(_DEFINITIONS)
        if name not in open_names:  # a type that holds itself is followed once
            yield from _marked(definitions.get(name), definitions, path, open_names | {name})
    for keyword in ("anyOf", "allOf", "oneOf"):
        for option in schema.get(keyword) or []:
            yield from _marked(option, definitions, path, open_names)
    yield from _marked(schema.get("items"), definitions, path, open_names)
    yield from _marked(schema.get("additionalProperties"), definitions, (*path, "*"), open_names)
    for name, item in (schema.get("properties") or {}).items():
        yield from _marked(item, definitions, (*path, name), open_names)
