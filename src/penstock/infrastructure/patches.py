"""Customizations: JSON patches (RFC 6902) to what a platform is sent, checked where they are written. Pure."""

import copy
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from penstock.errors import Unsupported, did_you_mean
from penstock.model.base import JSONObject
from penstock.model.reasons import Reason

#: operation -> members that it needs besides `op` and `path`
_OPERATIONS: dict[str, tuple[str, ...]] = {
    "add": ("value",),
    "copy": ("from",),
    "move": ("from",),
    "remove": (),
    "replace": ("value",),
    "test": ("value",),
}
_MEMBERS = ("op", "path", "value", "from")
#: Mappings of platforms whose names are free, and may hold a slash.
_FREE = frozenset({"annotations", "labels", "limits", "matchLabels", "nodeSelector", "requests"})


def read_patch(value: Any) -> list[JSONObject]:
    """A list of operations from a list, a `jsonpatch.JsonPatch`, or either's JSON or YAML text.

    Raises ValueError that names the operation and what is wrong with it.
    """
    value = plain_patches(value)
    if isinstance(value, Mapping):
        raise ValueError("a list of operations is needed; put this one into [ ].")
    if not isinstance(value, list | tuple):
        raise ValueError(f"a list of operations is needed, not {type(value).__name__}.")
    return [read_operation(item, index) for index, item in enumerate(value)]


def plain_patches(value: Any) -> Any:
    """What a text, a `jsonpatch.JsonPatch` or nothing at all says, as plain data; all else as it is. Raises ValueError."""
    if isinstance(value, str):
        value = read_text(value)
    return [] if value is None else getattr(value, "patch", value)


#: The type of fields that hold customizations.
Patch = Annotated[list[JSONObject], BeforeValidator(read_patch), Field(json_schema_extra={"format": "rfc6902"})]


def check_patch(patch: list[JSONObject], document: JSONObject, field: str) -> None:
    """Try `patch` on `document`, whose shape is known but not all of its values: a failing `test` is no fault.

    Raises ValueError that names the operation, the part of its path that does not exist, and the nearest one.
    """
    current = copy.deepcopy(document)
    for index, operation in enumerate(patch):
        current = try_operation(operation, current, f"{field}[{index}]")


def apply_patch(patch: list[JSONObject], document: JSONObject, field: str) -> JSONObject:
    """`document` with `patch` applied. Raises `Unsupported` that names the operation that does not fit."""
    for index, operation in enumerate(patch):
        document = apply_operation(operation, document, f"{field}[{index}]")
    return document


def try_operation(operation: JSONObject, document: JSONObject, place: str) -> JSONObject:
    """`document` with `operation` applied; a `test` that fails changes nothing.

    Raises ValueError that begins with `place` and says why the operation cannot be.
    """
    import jsonpatch

    try:
        found: JSONObject = jsonpatch.apply_patch(document, [operation])
    except jsonpatch.JsonPatchTestFailed:
        return document
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException) as error:
        raise ValueError(f"{place}: {_why(document, operation) or error}") from None
    return found


def apply_operation(operation: JSONObject, document: JSONObject, place: str) -> JSONObject:
    """`document` with `operation` applied. Raises `Unsupported` that begins with `place` if it does not fit."""
    import jsonpatch

    try:
        found: JSONObject = jsonpatch.apply_patch(document, [operation])
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException) as error:
        raise Unsupported(
            f"{place}: {_why(document, operation) or error}", reason=Reason.CONFIGURATION_INVALID
        ) from None
    return found


def read_text(text: str) -> Any:
    """What a JSON or YAML text says. Raises ValueError that says where it is neither."""
    import yaml

    try:
        return yaml.safe_load(text)  # JSON is YAML too
    except yaml.YAMLError as error:
        raise ValueError(f"it is neither JSON nor YAML: {error}") from None


def read_operation(item: Any, index: int) -> JSONObject:
    """One operation. Raises ValueError that names it by `index` and says what is wrong with it."""
    place = f"operation {index}"
    if not isinstance(item, Mapping):
        raise ValueError(f"{place} is none; write {{'op': 'add', 'path': '/spec/…', 'value': …}}.")
    operation = dict(item)
    for member in operation:
        if member not in _MEMBERS:
            raise ValueError(f"{place}: an operation has no {member!r}.{did_you_mean(str(member), _MEMBERS)}")
    name = operation.get("op")
    if name not in _OPERATIONS:
        known = ", ".join(_OPERATIONS)
        raise ValueError(
            f"{place}: there is no operation {name!r}.{did_you_mean(str(name), _OPERATIONS)} One of {known}."
        )
    for member in ("path", *_OPERATIONS[name]):
        if member not in operation:
            raise ValueError(f"{place}: {name!r} needs {member!r}.")
    for member in ("path", "from"):
        _check_pointer(operation.get(member, ""), f"{place}: {member}")
    return operation


def _check_pointer(pointer: Any, place: str) -> None:
    if not isinstance(pointer, str):
        raise ValueError(f"{place} is a text such as /spec/template/spec, not {pointer!r}.")
    if pointer and not pointer.startswith("/"):
        suggestion = "/" + pointer.replace(".", "/")
        raise ValueError(
            f"{place} is {pointer!r}, but a path begins with '/' and has one between its parts: {suggestion}."
        )


def _why(document: Any, operation: JSONObject) -> str | None:
    """Which part of the operation's path or source is missing in `document`, None if all is there."""
    last_must_exist = operation["op"] in {"replace", "remove", "test"}
    found = _missing(document, operation["path"], last_must_exist)
    if found is None and "from" in operation:
        found = _missing(document, operation["from"], True)
    if found and operation["op"] == "replace" and _missing(document, operation["path"], False) is None:
        found += " 'add' sets what is not there yet."
    return found


def _missing(document: Any, pointer: str, last_must_exist: bool) -> str | None:
    parts = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    current = document
    for position, part in enumerate(parts):
        above = "/" + "/".join(parts[:position])
        is_last = position == len(parts) - 1
        if isinstance(current, Mapping):
            if part not in current:
                if is_last and not last_must_exist:
                    return None
                near = did_you_mean(part, current) or _escaped(parts, position) or _whole(above, part, is_last)
                return f"{pointer!r}: there is no {part!r} in {above!r}.{near}"
            current = current[part]
        elif isinstance(current, list):
            if part == "-" and is_last and not last_must_exist:
                return None
            if not part.isdigit() or int(part) >= len(current) + (is_last and not last_must_exist):
                return f"{pointer!r}: {above!r} is a list of {len(current)}, which has no item {part!r}."
            current = current[int(part)] if int(part) < len(current) else None
        else:
            return f"{pointer!r}: {above!r} has no parts."
    return None


def _escaped(parts: list[str], position: int) -> str:
    """What to say where a name with a slash may be meant: ``example.org/team`` in a mapping of free names."""
    if position == 0 or parts[position - 1] not in _FREE or position == len(parts) - 1:
        return ""
    name = "/".join(parts[position:])
    pointer = "/".join(["", *parts[:position], name.replace("~", "~0").replace("/", "~1")])
    return f" A '/' within a name is written ~1: {pointer}."


def _whole(above: str, part: str, is_last: bool) -> str:
    """What to say where the place for something is not there itself."""
    return "" if is_last else f" An operation makes no place for its value: add {above.rstrip('/')}/{part} as a whole."
