"""Overrides: what a deployment or a run changes in an infrastructure block, field by field.

    {"env.LEVEL": "debug", "labels": {"team": "data"}, "job.spec.backoffLimit": 0}

A key is a path of field names separated by dots; a dictionary as value is merged into the field it names, anything else
replaces it. In maps of free keys (`env`, `labels`) the rest of the path is one key, dots included. Text for a field
that is no text is read as JSON where it can be, because the command line only knows text. Unknown names are refused.
"""

import copy
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from penstock.blocks.extras import holds_reference
from penstock.errors import ConfigurationError, did_you_mean
from penstock.model.base import JSONObject


def apply_overrides(
    data: JSONObject, overrides: Mapping[str, Any] | str | None, schema: JSONObject, place: str = "infra_overrides"
) -> JSONObject:
    """A copy of a block's `data` with `overrides` applied. `schema` is the JSON schema of its fields.

    `place` says in errors where the overrides came from. Raises ConfigurationError on a name that the block does not
    have, with the nearest one, and on a path that leads through something that has no parts.
    """
    result = copy.deepcopy(data)
    for key, value in _read(overrides, place).items():
        _Assignment(schema, place, key).assign(result, key.split("."), value, schema)
    return result


def _read(overrides: Mapping[str, Any] | str | None, place: str) -> Mapping[str, Any]:
    found: Any = overrides
    if isinstance(overrides, str):
        try:
            found = json.loads(overrides) if overrides.strip() else {}
        except ValueError as error:
            raise ConfigurationError(f"{place} is not valid JSON: {error}", code="invalid_override") from None
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise ConfigurationError(
            f"{place} must be an object of names and values, not {found!r}", code="invalid_override"
        )
    return found


class _Assignment:
    """One override on its way into the data."""

    def __init__(self, root: JSONObject, place: str, key: str) -> None:
        self._root, self._place, self._key = root, place, key

    def assign(self, target: JSONObject, path: list[str], value: Any, schema: JSONObject) -> None:
        """Set `value` at `path` below `target`, which `schema` describes."""
        name, rest = path[0], path[1:]
        fields = schema.get("properties")
        if fields is None:
            self._assign_free(target, path, value, schema)
            return
        if name not in fields:
            raise self._error(f"there is no {name!r} here.{did_you_mean(name, fields)}", "unknown_override")
        field = self._resolve(fields[name])
        if rest:
            self._assign_below(target, name, rest, value, field)
        else:
            self._set(target, name, _fit(value, field), field)

    def _assign_free(self, target: JSONObject, path: list[str], value: Any, schema: JSONObject) -> None:
        values = schema.get("additionalProperties")
        if isinstance(values, dict) and self._resolve(values).get("type") == "string":
            target[".".join(path)] = value
        elif len(path) == 1:
            self._set(target, path[0], value, {})
        else:
            self._assign_below(target, path[0], path[1:], value, {})

    def _assign_below(self, target: JSONObject, name: str, rest: list[str], value: Any, field: JSONObject) -> None:
        child = target.get(name)
        if child is None:
            child = target[name] = {}
        if isinstance(child, str):
            child = target[name] = _fit(child, {"type": "object"})
        if isinstance(child, list):
            self._assign_item(child, rest, value)
        elif isinstance(child, dict):
            self.assign(child, rest, value, field)
        else:
            raise self._error(f"{name!r} is {child!r}, which has no {rest[0]!r}.", "invalid_override")

    def _assign_item(self, items: list[Any], path: list[str], value: Any) -> None:
        if not path[0].isdigit() or int(path[0]) > len(items):
            raise self._error(f"a list of {len(items)} has no item {path[0]!r}.", "invalid_override")
        index = int(path[0])
        one: JSONObject = dict(zip(path[:1], items[index : index + 1], strict=False))
        if len(path) == 1:
            self._set(one, path[0], value, {})
        else:
            self._assign_below(one, path[0], path[1:], value, {})
        items[index : index + 1] = [one[path[0]]]

    def _set(self, target: JSONObject, name: str, value: Any, schema: JSONObject) -> None:
        current = target.get(name)
        if isinstance(value, Mapping) and (
            isinstance(current, dict) or schema.get("type") == "object" or "properties" in schema
        ):
            if not isinstance(current, dict):
                current = target[name] = {}
            for key, item in value.items():
                self.assign(current, [key], item, schema)
        else:
            target[name] = copy.deepcopy(value)

    def _resolve(self, schema: JSONObject) -> JSONObject:
        """The schema behind a reference; of several possible ones none, so that anything may be set there."""
        options = schema.get("allOf", [])
        if len(options) == 1:
            return self._resolve(options[0])
        reference = schema.get("$ref")
        if reference is None:
            return schema
        found: JSONObject = self._root.get("definitions", {}).get(str(reference).rsplit("/", 1)[-1], {})
        return found

    def _error(self, message: str, code: str) -> ConfigurationError:
        return ConfigurationError(f"{self._place}: {self._key!r} cannot be set: {message}", code=code)


def _fit(value: Any, schema: JSONObject) -> Any:
    """Text for a field that is no text, read as JSON if it is some."""
    if not isinstance(value, str) or schema.get("type") not in {"array", "object", "boolean", "integer", "number"}:
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def refuse_secrets(overrides: Mapping[str, Any], secret_fields: Iterable[str], place: str) -> None:
    """Raise ConfigurationError if an override sets a secret: overrides are kept and shown in clear.

    `secret_fields` are the places of secrets in the block, as in its schema. A text that only refers to where the secret
    is kept (``${env:NAME}``) is none.
    """
    patterns = [pattern.split(".") for pattern in secret_fields]
    for key, value in overrides.items():
        for path, leaf in _leaves(key.split("."), value):
            kept_elsewhere = leaf in (None, "") or (isinstance(leaf, str) and holds_reference(leaf))
            if not kept_elsewhere and any(_is_below(path, pattern) for pattern in patterns):
                raise ConfigurationError(
                    f"{place}: {'.'.join(path)!r} is a secret, and overrides are kept in clear.",
                    code="secret_override",
                    hint="Save it in a block, which keeps it sealed, and use that block.",
                )


def _leaves(path: list[str], value: Any) -> Iterator[tuple[list[str], Any]]:
    """The places that are set below `path`. Text that is a JSON object is one, as where it is applied."""
    found = _fit(value, {"type": "object"})
    if not isinstance(found, Mapping):
        yield path, value
        return
    for name, item in found.items():
        yield from _leaves([*path, *str(name).split(".")], item)


def _is_below(path: list[str], pattern: list[str]) -> bool:
    return len(path) >= len(pattern) and all(wanted in ("*", part) for part, wanted in zip(path, pattern, strict=False))
