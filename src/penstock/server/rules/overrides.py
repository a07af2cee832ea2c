"""Whether overrides name fields that infrastructure of a type has, and give them values of their kind. Pure.

Judged is what all schemas of the type that were ever saved agree on: the first part of each name, and values of fields
that hold one text, number or truth value. Agents, which have the classes, judge the rest.
"""

import json
import reprlib
from collections.abc import Iterable, Mapping
from typing import Any

from penstock.errors import Invalid, did_you_mean
from penstock.model.base import JSONObject
from penstock.model.secret_texts import is_placeholder
from penstock.server.rules.block_values import KIND_NAMES

#: Texts that count as a truth value, in small letters.
_TRUTH_VALUES = frozenset({"true", "false", "1", "0", "yes", "no", "on", "off", "t", "f", "y", "n"})


def wrong_overrides(overrides: Mapping[str, Any], schemas: Iterable[JSONObject], place: str) -> dict[str, Invalid]:
    """The overrides that cannot be, by their keys, each with the error that says why and names the nearest right field.

    Infrastructure without a known schema, and such that gathers fields it has no names for, takes all names.
    `place` says in the errors where the overrides stand.
    """
    fields: dict[str, list[Any]] = {}
    for schema in schemas:
        if schema.get("additionalProperties", False) is not False:
            return {}
        for name, field in (schema.get("properties") or {}).items():
            fields.setdefault(name, []).append(field)
    return {key: error for key, value in overrides.items() if fields and (error := _error(key, value, fields, place))}


def _error(key: str, value: Any, fields: Mapping[str, list[Any]], place: str) -> Invalid | None:
    name, _, rest = key.partition(".")
    if name not in fields:
        return Invalid(
            f"{place}: {key!r} cannot be set: the infrastructure has no field {name!r}.{did_you_mean(name, fields)}",
            code="unknown_override",
            hint=f"Its fields: {', '.join(sorted(fields))}.",
            status=422,
        )
    kinds = list(dict.fromkeys(_single_kind(field) for field in fields[name]))
    if any(kind is None or (not rest and _may_be(value, kind)) for kind in kinds):
        return None
    words = " or ".join(KIND_NAMES[str(kind)] for kind in kinds)
    said = f"{name!r} is {words}, which has no parts" if rest else f"it has to be {words}, not {reprlib.repr(value)}"
    return Invalid(f"{place}: {key!r} cannot be set: {said}.", code="invalid_override", status=422)


def _single_kind(field: Any) -> str | None:
    """The kind of the one value that a field of that schema holds; None if it may hold more, or is not plain to see."""
    kind = field.get("type") if isinstance(field, dict) else None
    return kind if kind in ("string", "integer", "number", "boolean") else None


def _may_be(value: Any, kind: str) -> bool:
    """Whether a value may be meant as one of that kind. Null takes away what was said."""
    if kind == "string":
        return not isinstance(value, list | dict)
    if isinstance(value, str):
        if is_placeholder(value):
            return True
        value = _read(value)
    if value is None:
        return True
    if isinstance(value, list | dict):
        return False
    if kind == "boolean":
        return value in (0, 1) or str(value).strip().lower() in _TRUTH_VALUES
    try:
        number = float(value)
    except ValueError:
        return False
    return kind == "number" or number.is_integer()


def _read(text: str) -> Any:
    """What a text says where none belongs: its JSON, if it is any."""
    try:
        return json.loads(text)
    except ValueError:
        return text
