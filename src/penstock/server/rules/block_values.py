"""Whether a block document's data fits its JSON schema. Pure.

Always allowed: null (schemas of the wire do not say where it is), a reference to another document, and a text such as
``${env:NAME}`` that stands for a value. Messages say what is needed, never what was sent: it may be secret.
"""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from penstock.errors import Invalid, did_you_mean
from penstock.model.base import JSONObject
from penstock.model.secret_texts import is_placeholder

#: What the data of a nested block says about itself, beside its fields.
_SLUG, _VERSION = "block_type_slug", "block_schema_version"
#: JSON schema's words for kinds of values, in ours.
KIND_NAMES = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}


def refuse_unknown_fields(data: JSONObject, fields: JSONObject) -> None:
    """Raises Invalid for a field that a schema with closed fields does not have."""
    for message in _unknown_fields(data, fields, "data"):
        raise Invalid(message, code="unknown_field")


def refuse_unfit_values(data: JSONObject, fields: JSONObject, only: frozenset[str] | None = None) -> None:
    """Raises Invalid that names the first field that does not fit. `only`: judge these fields of the block alone.

    A schema that cannot be understood judges nothing.
    """
    for message in _problems(data, fields, only):
        raise Invalid(message, code="unfit_field")


def refuse_broken_schema(fields: JSONObject) -> None:
    """Raises Invalid that names the place if `fields` is no JSON schema."""
    from jsonschema import SchemaError

    try:
        _validator_class().check_schema(fields)
    except SchemaError as error:
        place = ".".join(["fields", *map(str, error.absolute_path)])
        raise Invalid(f"{place}: {error.message}", code="broken_schema") from None


def _problems(data: JSONObject, fields: JSONObject, only: frozenset[str] | None) -> Iterator[str]:
    from jsonschema.exceptions import UndefinedTypeCheck, UnknownType
    from referencing.exceptions import Unresolvable

    if not isinstance(fields.get("properties"), dict):
        return
    validator = _validator_class()({key: value for key, value in fields.items() if key != "additionalProperties"})
    try:
        for error in validator.iter_errors(data):
            path = [str(part) for part in error.absolute_path]
            if only is None or (path and path[0] in only):
                yield _describe(error, ".".join(["data", *path]))
    except (UnknownType, UndefinedTypeCheck, Unresolvable, TypeError, AttributeError):
        return  # not made by this version of the server: newer ones refuse such a schema


def _describe(error: Any, place: str) -> str:
    keyword, wanted = error.validator, error.validator_value
    if keyword == "type":
        kinds = [wanted] if isinstance(wanted, str) else wanted
        needed = " or ".join(KIND_NAMES.get(kind, kind) for kind in kinds)
        return f"{place}: {needed} is needed, not {_kind(error.instance)}."
    if keyword == "enum":
        guess = (
            did_you_mean(error.instance, [item for item in wanted if isinstance(item, str)])
            if (isinstance(error.instance, str))
            else ""
        )
        return f"{place}: it must be one of {', '.join(map(repr, wanted))}.{guess}"
    if keyword == "required":
        missing = [name for name in wanted if name not in error.instance]
        return f"{place}.{missing[0]}: this field is needed."
    if keyword in ("anyOf", "oneOf"):
        options = [_option(option) for option in wanted]
        return f"{place}: {' or '.join(dict.fromkeys(options))} is needed, not {_kind(error.instance)} like this."
    if keyword == "additionalProperties":
        known = error.schema.get("properties", {})
        extra = next((name for name in error.instance if name not in known), "")
        return f"{place}.{extra}: there is no such field.{did_you_mean(str(extra), known)}"
    return f"{place}: it does not fit the schema's {keyword} {wanted!r}."


def _option(schema: Any) -> str:
    kind = schema.get("type") if isinstance(schema, dict) else None
    if isinstance(kind, str):
        return KIND_NAMES.get(kind, kind)
    reference = schema.get("$ref", "") if isinstance(schema, dict) else ""
    return reference.rpartition("/")[2] or "another form"


def _kind(value: Any) -> str:
    for kinds, name in (
        (bool, "boolean"), (str, "string"), (int, "integer"), (float, "number"), (list, "array"), (dict, "object"),
    ):  # fmt: skip
        if isinstance(value, kinds):
            return "a truth value" if name == "boolean" else KIND_NAMES[name]
    return "null"


def _unknown_fields(data: JSONObject, fields: JSONObject, place: str) -> Iterator[str]:
    properties = fields.get("properties") or {}
    if not isinstance(properties, dict) or not properties or fields.get("additionalProperties"):
        return
    for name in data:
        if name not in properties:
            title = fields.get("title", "The block")
            yield f"{place}.{name}: {title} has no such field.{did_you_mean(name, properties)}"


def _is_free(value: Any) -> bool:
    """Whether a value fits everywhere."""
    if isinstance(value, str):
        return is_placeholder(value)
    return value is None or (isinstance(value, dict) and set(value) == {"$ref"})


@cache
def _validator_class() -> Any:
    # Imported at the first save of a server: a tenth of a second that its start need not wait for.
    from jsonschema import Draft7Validator
    from jsonschema.validators import extend

    rules = {name: _lenient(rule) for name, rule in Draft7Validator.VALIDATORS.items()}
    rules["pattern"] = _lenient(_pattern)
    return extend(Draft7Validator, rules)  # type: ignore[no-untyped-call]


def _lenient(rule: Callable[..., Any]) -> Callable[..., Iterator[Any]]:
    def check(validator: Any, wanted: Any, instance: Any, schema: JSONObject) -> Iterator[Any]:
        if not _is_free(instance) and not _is_another_block(instance, schema):
            yield from rule(validator, wanted, _bare(instance, schema), schema) or ()

    return check


def _is_another_block(instance: Any, schema: JSONObject) -> bool:
    """Whether a nested block is of a type that derives from the one in the schema: its own schema would judge it."""
    slug = schema.get(_SLUG)
    return isinstance(slug, str) and isinstance(instance, dict) and instance.get(_SLUG, slug) != slug


def _bare(instance: Any, schema: JSONObject) -> Any:
    if isinstance(instance, dict) and _SLUG in schema:
        known = schema.get("properties") or {}
        return {key: item for key, item in instance.items() if key in known or key not in (_SLUG, _VERSION)}
    return instance


def _pattern(validator: Any, pattern: str, instance: Any, _schema: JSONObject) -> Iterator[Any]:
    import re

    from jsonschema import ValidationError

    if validator.is_type(instance, "string"):
        try:
            fits = re.search(pattern, instance)
        except re.error:
            return  # another dialect's expression
        if not fits:
            yield ValidationError("does not match")
