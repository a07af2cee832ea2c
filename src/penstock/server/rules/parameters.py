"""Whether parameters fit a flow's parameter schema. Pure.

Understood is what pydantic writes for the parameters of a function: types, enums, required names, nested objects and
lists, alternatives, references, bounds. A keyword that is not understood allows everything: the flow judges last.
"""

import operator
import re
from collections.abc import Callable, Iterator
from typing import Any

from penstock.errors import ParameterError, did_you_mean
from penstock.model.base import JSONObject

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}
_BOUNDS: dict[str, Callable[[Any, Any], bool]] = {
    "minimum": operator.ge,
    "maximum": operator.le,
    "exclusiveMinimum": operator.gt,
    "exclusiveMaximum": operator.lt,
}


def refuse_unknown_parameters(parameters: JSONObject, schema: JSONObject | None) -> None:
    """Raise ParameterError, with the nearest name, for a parameter that the flow does not have.

    A flow without a known schema, and one that takes any keyword argument, accept all names.
    """
    if not schema or "properties" not in schema or schema.get("additionalProperties"):
        return
    known = schema["properties"]
    for name in parameters:
        if name not in known:
            raise ParameterError(
                f"The flow has no parameter {name!r}.{did_you_mean(name, known)}",
                code="unknown_parameter",
                hint=f"Its parameters: {', '.join(known)}." if known else "It has none.",
            )


def refuse_unfit_parameters(parameters: JSONObject, schema: JSONObject | None, *, partial: bool = False) -> None:
    """Raise ParameterError for the first parameter that does not fit. `partial`: required ones may still be missing."""
    if not schema:
        return
    refuse_unknown_parameters(parameters, schema)
    checked = {key: value for key, value in schema.items() if not (partial and key == "required")}
    for problem in _problems(parameters, checked, schema, ""):
        raise ParameterError(problem, code="unfit_parameter")


def misfit(values: JSONObject, schema: JSONObject) -> str | None:
    """The first thing about `values` that does not fit the schema of an object; None if all does."""
    known = schema.get("properties", {})
    for name in values:
        if name not in known and not schema.get("additionalProperties"):
            return f"{name} is unknown.{did_you_mean(name, known)} Known: {', '.join(known) or 'nothing'}"
    return next(_problems(values, schema, schema, ""), None)


def _problems(value: Any, schema: Any, root: JSONObject, at: str) -> Iterator[str]:
    if not isinstance(schema, dict):
        return
    if "$ref" in schema:
        yield from _problems(value, _referred(schema["$ref"], root), root, at)
    for option in schema.get("allOf", ()):
        yield from _problems(value, option, root, at)
    options = schema.get("anyOf") or schema.get("oneOf")
    if options and not any(next(_problems(value, option, root, at), None) is None for option in options):
        yield f"{at}: {_shown(value)} fits none of the types that are allowed"
        return
    # A default of None stands for "may be left out", which older schemas do not say in their type.
    if value is None and schema.get("default", ...) is None:
        return
    if "type" in schema and not _has_type(value, schema["type"]):
        yield f"{at}: {_shown(value)} is no {schema['type']}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{at}: {_shown(value)} is none of {', '.join(map(repr, schema['enum']))}"
    if "const" in schema and value != schema["const"]:
        yield f"{at}: {_shown(value)} is not {schema['const']!r}"
    if isinstance(value, dict):
        yield from _object_problems(value, schema, root, at)
    elif isinstance(value, list):
        yield from _list_problems(value, schema, root, at)
    elif isinstance(value, str):
        yield from _text_problems(value, schema, at)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        for keyword, holds in _BOUNDS.items():
            if isinstance(schema.get(keyword), int | float) and not holds(value, schema[keyword]):
                yield f"{at}: {value} breaks the {keyword} {schema[keyword]}"


def _object_problems(value: JSONObject, schema: JSONObject, root: JSONObject, at: str) -> Iterator[str]:
    prefix = f"{at}." if at else ""
    properties = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{prefix}{name} is missing"
    for name, item in value.items():
        if name in properties:
            yield from _problems(item, properties[name], root, f"{prefix}{name}")
        elif schema.get("additionalProperties") is False:
            yield f"{prefix}{name} is unknown.{did_you_mean(name, properties)}"
        else:
            yield from _problems(item, schema.get("additionalProperties"), root, f"{prefix}{name}")


def _list_problems(value: list[Any], schema: JSONObject, root: JSONObject, at: str) -> Iterator[str]:
    if len(value) < schema.get("minItems", 0):
        yield f"{at}: at least {schema['minItems']} items are needed"
    if "maxItems" in schema and len(value) > schema["maxItems"]:
        yield f"{at}: at most {schema['maxItems']} items are allowed"
    first = schema.get("prefixItems", [])
    for index, item in enumerate(value):
        wanted = first[index] if index < len(first) else schema.get("items")
        yield from _problems(item, wanted, root, f"{at}[{index}]")


def _text_problems(value: str, schema: JSONObject, at: str) -> Iterator[str]:
    if len(value) < schema.get("minLength", 0):
        yield f"{at}: at least {schema['minLength']} characters are needed"
    if "maxLength" in schema and len(value) > schema["maxLength"]:
        yield f"{at}: at most {schema['maxLength']} characters are allowed"
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{at}: {_shown(value)} does not match {schema['pattern']}"


def _has_type(value: Any, wanted: str | list[str]) -> bool:
    names = [wanted] if isinstance(wanted, str) else wanted
    if isinstance(value, bool):
        return "boolean" in names
    if isinstance(value, float) and value.is_integer() and "integer" in names:
        return True
    return any(isinstance(value, _TYPES.get(name, (object,))) for name in names)


def _referred(reference: str, root: JSONObject) -> Any:
    found: Any = root
    for part in reference.removeprefix("#/").split("/"):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
