"""Kubernetes's own description of its objects, as the models of kubernetes_asyncio have it: a newer one than the clusters
that tests can run."""

import re
from typing import Any

#: Kinds of single values, as Python has them.
_SINGLE: dict[str, type | tuple[type, ...]] = {"str": str, "int": int, "bool": bool, "float": (int, float)}


def check_object(value: Any, kind: str | None = None) -> None:
    """Raise AssertionError if `value` has a member that its kind has not, lacks one that it needs, or has it of the wrong
    type. `kind` is a model's name; by default the object says it."""
    from kubernetes_asyncio.client import models

    if kind is None:
        version, name = value["apiVersion"], value["kind"]
        kind = next(
            found
            for found in (f"{version.rpartition('/')[2].capitalize()}{name}", f"V1{name}")
            if hasattr(models, found)
        )
    _made(value, kind, kind)


def members_of(kind: str) -> set[str]:
    """The names of an object's members."""
    from kubernetes_asyncio.client import models

    return set(getattr(models, kind).attribute_map.values())


def kinds_of(kind: str) -> dict[str, str]:
    """The names of an object's members, each with what it is: ``int``, ``list[str]``, ``V1Container`` …"""
    from kubernetes_asyncio.client import models

    model = getattr(models, kind)
    return {theirs: model.openapi_types[ours] for ours, theirs in model.attribute_map.items()}


def _made(value: Any, kind: str, where: str) -> Any:
    from kubernetes_asyncio.client import models

    parts = re.fullmatch(r"list\[(.+)\]", kind)
    if parts:
        assert isinstance(value, list), f"{where} is no list: {value!r}"
        return [_made(item, parts[1], f"{where}[{index}]") for index, item in enumerate(value)]
    parts = re.fullmatch(r"dict\((\w+), (.+)\)", kind)
    if parts:
        assert isinstance(value, dict), f"{where} is no mapping: {value!r}"
        return {name: _made(item, parts[2], f"{where}.{name}") for name, item in value.items()}
    if kind in _SINGLE:
        fitting = isinstance(value, _SINGLE[kind]) and (kind == "bool" or not isinstance(value, bool))
        assert fitting, f"{where} is no {kind}: {value!r}"
        return value
    model = getattr(models, kind, None)
    if model is None:  # object, datetime and the like
        return value
    assert isinstance(value, dict), f"{where} is no mapping: {value!r}"
    names = {theirs: ours for ours, theirs in model.attribute_map.items()}
    unknown = set(value) - set(names)
    assert not unknown, f"{where} has no {unknown}"
    made = {
        names[name]: _made(item, model.openapi_types[names[name]], f"{where}.{name}") for name, item in value.items()
    }
    try:
        return model(**made)
    except ValueError as error:
        raise AssertionError(f"{where}: {error}") from None
