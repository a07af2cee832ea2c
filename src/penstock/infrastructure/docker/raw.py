"""`host_config` and `config`: whatever the engine's API has and the block has no field for, held against the API's own list.

Pure.
"""

from collections.abc import Mapping
from typing import Any

from penstock.blocks.extras import holds_reference
from penstock.errors import nearest
from penstock.infrastructure.docker.api_fields import CONFIG, HOST_CONFIG, OWNED, SINCE
from penstock.infrastructure.override_places import Places, fit
from penstock.model.base import JSONObject

#: field of the block -> the place that it stands for
PLACES: dict[str, JSONObject] = {"host_config": HOST_CONFIG, "config": CONFIG}
_OF_JSON: dict[str, tuple[type, ...]] = {
    "array": (list,),
    "boolean": (bool,),
    "integer": (int,),
    "object": (Mapping,),
    "string": (str,),
}


def override_schema(field: str) -> JSONObject:
    """What overrides find in `field`: every name of the API, those too that are refused with the field to use instead."""
    place = PLACES[field]
    return {**place, "properties": {**{name: {} for name in OWNED[field]}, **place["properties"]}}


def read_raw(value: Mapping[str, Any], field: str, typed: frozenset[str]) -> JSONObject:
    """`value` as the API takes it, with numbers and switches read from texts. `typed`: the block's own fields.

    Raises ValueError that names the place and what is right, with the nearest name.
    """
    for name in value:
        owned = OWNED[field].get(name)
        if owned is not None:
            raise ValueError(f"{field}.{name} cannot be set here: {_instead(owned)}.")
        if name in typed and name not in PLACES[field]["properties"]:
            raise ValueError(f"{field}.{name} cannot be set here: {_instead(name)}.")
    found: JSONObject = _read(value, PLACES[field], field)
    return found


def newer_fields(request: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """What the request sets of that which not every engine knows, with the version of the API that brought it."""
    raw = request.get("raw") or {}
    body = {**(raw.get("Config") or {}), "HostConfig": raw.get("HostConfig") or {}}
    return {".".join(path): since for path, since in SINCE.items() if _is_set(body, path)}


def _is_set(value: Any, path: tuple[str, ...]) -> bool:
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value is not None


def _instead(owned: str) -> str:
    return f"the block has the field {owned!r} for it" if " " not in owned else owned


def _read(value: Any, schema: JSONObject, path: str) -> Any:
    if value is None or (isinstance(value, str) and holds_reference(value)):
        return value  # null leaves it to the engine
    found: Any = fit(value, schema)
    kind = schema["type"]
    fits = isinstance(found, _OF_JSON[kind]) and (kind == "boolean" or not isinstance(found, bool))
    if not fits:
        raise ValueError(f"{path} is {value!r}; it has to be {Places(schema).words(schema)}.")
    _check_limits(found, schema, path)
    if "properties" in schema:
        return {name: _read(item, _part(schema, str(name), path), f"{path}.{name}") for name, item in found.items()}
    if "additionalProperties" in schema:
        return {
            str(name): _read(_as_text(item), schema["additionalProperties"], f"{path}.{name}")
            for name, item in found.items()
        }
    if "items" in schema:
        return [_read(item, schema["items"], f"{path}.{index}") for index, item in enumerate(found)]
    return found


def _check_limits(value: Any, schema: JSONObject, path: str) -> None:
    words = schema.get("enum")
    if words is not None and value not in words:
        near = nearest(str(value), words)
        hint = f" Did you mean {near!r}?" if near else ""
        raise ValueError(f"{path} is {value!r}.{hint} It is one of {', '.join(words)}.")
    least, most = schema.get("minimum"), schema.get("maximum")
    if (least is not None and value < least) or (most is not None and value > most):
        limits = f"between {least} and {most}" if most is not None else f"{least} or more"
        raise ValueError(f"{path} is {value!r}; it has to be {limits}.")


def _part(schema: JSONObject, name: str, path: str) -> JSONObject:
    parts: dict[str, JSONObject] = schema["properties"]
    if name in parts:
        return parts[name]
    spelled = {known.lower(): known for known in parts}
    near = nearest(name.lower(), spelled)
    hint = f" Did you mean {spelled[near]!r}?" if near else ""
    raise ValueError(f"there is no {name!r} in {path}: the engine would drop it without a word.{hint}")


def _as_text(item: Any) -> Any:
    """Maps of the API hold texts, also where YAML has a number."""
    return str(item) if isinstance(item, int | float) and not isinstance(item, bool) else item
