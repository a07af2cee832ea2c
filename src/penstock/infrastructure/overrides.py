"""Overrides: what a deployment or a run changes in an infrastructure block, field by field. Pure.

    {"env.LEVEL": "debug", "labels": {"team": "data"}, "job.spec.activeDeadlineSeconds": 60}

A key is a path of field names separated by dots; an object as value says the same for each of its members, so that dotted,
nested and JSON forms mean the same. In maps of free keys (`env`, `labels`) the rest of the path is one key, dots included.
Lists and single values are replaced. Overrides of one place have no order: what contradicts itself is refused, and so is
every name that there is not.
"""

import copy
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from penstock.blocks.extras import holds_reference
from penstock.errors import ConfigurationError
from penstock.infrastructure.override_places import Places, fit, invalid, is_list, json_object
from penstock.model.base import JSONObject

Path = tuple[str, ...]
#: Where every value that an override has set came from: path in the block -> the place that the override stands in.
Sources = dict[Path, str]


@dataclass(frozen=True)
class Assignment:
    """One value that an override sets at one path. `key`: the override, as it was written."""

    path: Path
    value: Any
    key: str


def apply_overrides(
    data: JSONObject,
    overrides: Mapping[str, Any] | str | None,
    schema: JSONObject,
    place: str = "infra_overrides",
    sources: Sources | None = None,
) -> JSONObject:
    """A copy of a block's `data` with `overrides` applied. `schema` is the JSON schema of its fields.

    `place` says in errors where the overrides came from; it is also noted in `sources` for every path that is set.
    Raises ConfigurationError on a name that the block does not have, with the nearest one; on a path that leads through
    something that has no parts; and on overrides that contradict each other.
    """
    result = copy.deepcopy(data)
    places = Places(schema)
    for assignment in read_overrides(overrides, schema, place):
        try:
            _assign(places, result, assignment.path, copy.deepcopy(assignment.value))
        except ConfigurationError as error:
            raise _refused(place, assignment.key, error) from None
        if sources is not None:
            for path in [path for path in sources if path[: len(assignment.path)] == assignment.path]:
                del sources[path]
            sources[assignment.path] = place
    return result


def read_overrides(
    overrides: Mapping[str, Any] | str | None, schema: JSONObject, place: str = "infra_overrides"
) -> list[Assignment]:
    """What `overrides` set, value by value, in an order of their own: it does not matter how they were written.

    Raises ConfigurationError as `apply_overrides` does.
    """
    places = Places(schema)
    found: dict[Path, Assignment] = {}
    for key, value in _mapping(overrides, place).items():
        try:
            for assignment in _values(places, str(key), value):
                _refuse_contradiction(found, assignment)
                found[assignment.path] = assignment
        except ConfigurationError as error:
            raise _refused(place, str(key), error) from None
    return sorted(found.values(), key=lambda assignment: [_order(part) for part in assignment.path])


def read_texts(texts: Mapping[str, str], schema: JSONObject) -> JSONObject:
    """Overrides as the command line has them, which knows text only: in free places, such as a manifest, JSON is meant.

    Everywhere else the text stays what it is: what belongs there is known when it is applied.
    """
    places = Places(schema)
    found: JSONObject = {}
    for key, text in texts.items():
        found[key] = text
        try:
            schema_there = places.lead(_split(key), schema)[1]
        except ConfigurationError:
            continue  # it is refused where it is applied
        if places.is_free(schema_there) and schema_there.get("type") is None:
            try:
                found[key] = json.loads(text)
            except ValueError:
                continue
    return found


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


def _mapping(overrides: Mapping[str, Any] | str | None, place: str) -> Mapping[str, Any]:
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


def _values(places: Places, key: str, value: Any) -> Iterator[Assignment]:
    path, schema = places.lead(_split(key), places.root)
    yield from _below(places, key, path, value, schema)


def _below(places: Places, key: str, path: Path, value: Any, schema: JSONObject) -> Iterator[Assignment]:
    members = json_object(value, schema)
    if members is None:
        yield Assignment(path, fit(value, schema), key)
        return
    for name, item in members.items():
        # names in an object are whole where keys are free; where they are not, a dot leads on as everywhere
        parts = [str(name)] if places.is_free(schema) or places.is_map(schema) else _split(str(name))
        below, there = places.lead(parts, schema, path)
        yield from _below(places, key, below, item, there)


def _split(key: str) -> list[str]:
    """The parts of a dotted key. A dot that belongs to a name is written with a backslash before it."""
    return [part.replace("\0", ".") for part in key.replace("\\.", "\0").split(".")]


def _order(part: str) -> tuple[int, int, str]:
    return (0, int(part), "") if part.isdigit() else (1, 0, part)


def _refuse_contradiction(found: Mapping[Path, Assignment], new: Assignment) -> None:
    same = found.get(new.path)
    if same is not None and same.value != new.value:
        raise invalid(
            f"{same.key!r} sets {'.'.join(new.path)!r} to {same.value!r} already; it cannot be {new.value!r} too."
        )
    for path, other in found.items():
        short, long = sorted((path, new.path), key=len)
        if len(short) < len(long) and long[: len(short)] == short:
            whole, part = (other.key, new.key) if path == short else (new.key, other.key)
            raise invalid(f"{whole!r} sets all of {'.'.join(short)!r}, and {part!r} a part of it.")


def _assign(places: Places, target: Any, path: Path, value: Any) -> None:
    """Set `value` at `path` below `target`; objects and lists on the way are made where there are none."""
    schema = places.root
    for depth, name in enumerate(path):
        key = _key(target, path, depth)
        if depth == len(path) - 1:
            target[key] = value
            return
        schema = places.part(schema, name)
        if target[key] is None:
            target[key] = [] if is_list(schema) else {}
        elif isinstance(target[key], str):
            target[key] = fit(target[key], {"type": "object"})
        target = target[key]


def _key(target: Any, path: Path, depth: int) -> Any:
    """Where the part of `path` at `depth` stands in `target`, with null made there if nothing does."""
    name = path[depth]
    if isinstance(target, dict):
        target.setdefault(name, None)
        return name
    if not isinstance(target, list):
        raise invalid(f"{'.'.join(path[:depth])!r} is {target!r}, which has no {name!r}.")
    index = int(name) if name.isdigit() else -1
    if not 0 <= index <= len(target):
        raise invalid(f"a list of {len(target)} has no item {name!r}.")
    if index == len(target):
        target.append(None)
    return index


def _refused(place: str, key: str, error: ConfigurationError) -> ConfigurationError:
    return ConfigurationError(f"{place}: {key!r} cannot be set: {error.message}", code=error.code)


def _leaves(path: list[str], value: Any) -> Iterator[tuple[list[str], Any]]:
    """The places that are set below `path`. Text that is a JSON object is one, as where it is applied."""
    found = fit(value, {"type": "object"})
    if not isinstance(found, Mapping):
        yield path, value
        return
    for name, item in found.items():
        yield from _leaves([*path, *str(name).split(".")], item)


def _is_below(path: list[str], pattern: list[str]) -> bool:
    return len(path) >= len(pattern) and all(wanted in ("*", part) for part, wanted in zip(path, pattern, strict=False))
