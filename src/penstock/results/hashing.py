"""Hashes of values that are equal in every process for equal values. Pure."""

import json
from collections.abc import Callable
from functools import partial
from hashlib import blake2b
from types import CodeType
from typing import Any

from penstock.errors import SerializationError
from penstock.results.json_objects import NoForm, encode_known


def hash_of(*values: Any) -> str:
    """32 hexadecimal digits that differ for different values, and do not depend on the order of sets and dictionaries.

    Raises SerializationError for a value that can neither be written as JSON nor be pickled.
    """
    try:
        text = json.dumps([_canonical(value) for value in values], sort_keys=True)
    except RecursionError:
        raise SerializationError("The value holds itself, or is too deep to be hashed") from None
    return _digest(text.encode())


def code_hash(fn: Callable[..., Any]) -> str | None:
    """A hash of what the function does, not of its name or place in a file; None if it is not written in Python."""
    while isinstance(fn, partial):
        fn = fn.func
    fn = getattr(fn, "__func__", fn)
    code = getattr(fn, "__code__", None) or getattr(vars(type(fn)).get("__call__"), "__code__", None)
    return _digest(json.dumps(_described(code)).encode()) if isinstance(code, CodeType) else None


def _described(code: CodeType) -> list[Any]:
    constants = [
        _described(value) if isinstance(value, CodeType) else repr(_ordered(value)) for value in code.co_consts
    ]
    return [code.co_code.hex(), constants, code.co_names, code.co_varnames, code.co_freevars]


def _ordered(constant: Any) -> Any:
    """A set among the constants has no order that would last."""
    return sorted(map(repr, constant)) if isinstance(constant, frozenset) else constant


def _canonical(value: Any) -> Any:
    """Plain JSON values that are equal exactly if `value` is."""
    kind = type(value)
    if kind is dict:
        items = [[json.dumps(_canonical(key), sort_keys=True), _canonical(item)] for key, item in value.items()]
        return {"dict": sorted(items, key=lambda item: item[0])}
    if kind is set or kind is frozenset:
        return {kind.__name__: sorted(json.dumps(_canonical(item), sort_keys=True) for item in value)}
    try:
        found = encode_known(value, _canonical)
    except NoForm:
        found = None
    return _pickled(value) if found is None and value is not None else found


def _pickled(value: Any) -> dict[str, str]:
    import cloudpickle  # type: ignore[import-untyped]

    try:
        content = cloudpickle.dumps(value, protocol=4)
    except Exception as error:
        kind = type(value)
        raise SerializationError(
            f"A {kind.__module__}.{kind.__qualname__} cannot be hashed, because it cannot be pickled: {error}"
        ) from error
    return {"pickle": _digest(content)}


def _digest(content: bytes) -> str:
    return blake2b(content, digest_size=16).hexdigest()
