"""The secrets of a block document: taken out before it is stored, shown as masks, kept when a mask comes back. Pure."""

import copy
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from penstock.errors import Invalid
from penstock.model.base import JSONObject
from penstock.model.block_documents import MASK

#: Where a secret lies in a document: keys of objects, indexes of lists.
Path = tuple[str | int, ...]
Secrets = list[tuple[Path, Any]]


def take_out(data: JSONObject, secret_fields: Iterable[str]) -> tuple[JSONObject, Secrets]:
    """`data` with None in place of each secret, and the secrets by place. None itself is no secret but "not set"."""
    rest = copy.deepcopy(data)
    secrets: Secrets = []
    for path in _places(rest, secret_fields):
        secrets.append((path, _get(rest, path)))
        _set(rest, path, None)
    return rest, secrets


def put_back(rest: JSONObject, secrets: Secrets) -> JSONObject:
    """The whole document again."""
    data = copy.deepcopy(rest)
    for path, value in secrets:
        _set(data, path, value)
    return data


def put_masks(rest: JSONObject, places: Iterable[Sequence[str | int]]) -> JSONObject:
    """The document as it is shown: a mask wherever there is a secret."""
    return put_back(rest, [(tuple(place), MASK) for place in places])


def keep_masked(new: JSONObject, stored: JSONObject, secret_fields: Iterable[str]) -> JSONObject:
    """`new` with the stored secret wherever `new` has the mask.

    Raises Invalid if nothing is stored there: the mask itself is never a value.
    """
    kept = copy.deepcopy(new)
    for path in _places(kept, secret_fields):
        if _get(kept, path) == MASK:
            secret = _find(stored, path)
            if secret is None:
                raise Invalid(
                    f"{'.'.join(map(str, path))}: {MASK} stands for a secret and cannot be one, "
                    "and no secret is stored there that it could stand for.",
                    code="mask_as_value",
                    hint="Send the secret itself, or null.",
                )
            _set(kept, path, secret)
    return kept


def _places(data: JSONObject, secret_fields: Iterable[str]) -> list[Path]:
    """Where `data` holds a secret that is not None; the outermost ones only, each once."""
    found = dict.fromkeys(path for field in secret_fields for path in _walk(data, field.split("."), ()))
    return [path for path in found if not any(path[:depth] in found for depth in range(1, len(path)))]


def _walk(value: Any, names: list[str], path: Path) -> Iterator[Path]:
    if isinstance(value, list) and names:
        for index, item in enumerate(value):
            yield from _walk(item, names[1:] if names[0] == "*" else names, (*path, index))
    elif not names:
        if value is not None:
            yield path
    elif names[0] == "*":
        if isinstance(value, dict):
            for key, item in value.items():
                yield from _walk(item, names[1:], (*path, key))
        elif value is not None:
            yield path  # not the object that the schema promises: secret as a whole
    elif isinstance(value, dict):
        # A key may hold dots itself; the longest that is there is meant.
        for length in range(len(names), 0, -1):
            key = ".".join(names[:length])
            if key in value:
                yield from _walk(value[key], names[length:], (*path, key))
                return


def _get(data: Any, path: Path) -> Any:
    for key in path:
        data = data[key]
    return data


def _find(data: Any, path: Path) -> Any:
    try:
        return _get(data, path)
    except (KeyError, IndexError, TypeError):
        return None


def _set(data: Any, path: Path, value: Any) -> None:
    _get(data, path[:-1])[path[-1]] = value
