"""The secrets of a block document: taken out before it is stored, shown as masks, kept when a mask comes back. Pure.

Secret is what the schema says, and besides what anybody would call one: environment variables with telling names, and
passwords in URLs. Of a URL only the password is masked, so that people still see where it leads.
"""

import copy
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from penstock.errors import Invalid
from penstock.model.base import JSONObject
from penstock.model.block_documents import MASK, is_mask
from penstock.model.secret_texts import is_secret, names_a_secret, without_passwords

#: Where a secret lies in a document: keys of objects, indexes of lists.
Path = tuple[str | int, ...]
Secrets = list[tuple[Path, Any]]


def take_out(data: JSONObject, secret_fields: Iterable[str], also: Iterable[Path] = ()) -> tuple[JSONObject, Secrets]:
    """`data` without its secrets, and the secrets by place. None itself is no secret but "not set".

    In place of a secret there is None; in place of a URL with a password, the URL with a mask. `also`: places that are
    secret whatever the schema says.
    """
    rest = copy.deepcopy(data)
    secrets: Secrets = []
    for path in _places(rest, secret_fields, also):
        value = _get(rest, path)
        secrets.append((path, value))
        _set(rest, path, None)
    for path, value in _texts(rest, ()):
        shown = without_passwords(value)
        if shown != value:
            secrets.append((path, value))
            _set(rest, path, shown)
    return rest, secrets


def put_back(rest: JSONObject, secrets: Secrets) -> JSONObject:
    """The whole document again."""
    data = copy.deepcopy(rest)
    for path, value in secrets:
        _set(data, path, value)
    return data


def put_masks(rest: JSONObject, places: Iterable[Sequence[str | int]]) -> JSONObject:
    """The document as it is shown: a mask wherever there is a secret."""
    return put_back(rest, [(tuple(place), MASK) for place in places if find(rest, tuple(place)) is None])


def keep_masked(new: JSONObject, stored: JSONObject, secret_fields: Iterable[str]) -> JSONObject:
    """`new` with the stored secret wherever `new` has the mask.

    Raises Invalid if nothing is stored there that the mask could stand for: the mask itself is never a value.
    """
    kept = copy.deepcopy(new)
    places = set(_places(stored, secret_fields, ()))
    for path, value in _texts(new, ()):
        if not is_mask(value) and (MASK not in value or without_passwords(value) != value):
            continue
        origin = _origin(new, stored, path)
        secret = find(stored, origin) if origin is not None else None
        if is_mask(value) and (origin not in places or secret is None):
            raise _mask_as_value(path)
        if not is_mask(value):
            if not isinstance(secret, str) or without_passwords(secret) != value:
                if "://" not in value:
                    continue  # stars that somebody wrote
                raise _mask_as_value(path)
            if secret == value:
                continue
        _set(kept, path, secret)
    return kept


def holds_mask(value: Any) -> bool:
    """Whether a mask stands anywhere in `value` for what is to be kept."""
    return any(is_mask(text) or (MASK in text and "://" in text) for _, text in _texts(value, ()))


def find(data: Any, path: Path) -> Any:
    """What lies at `path`; None if nothing does."""
    try:
        return _get(data, path)
    except (KeyError, IndexError, TypeError):
        return None


def has_place(data: Any, path: Path) -> bool:
    """Whether a value can be put at `path`."""
    holder = find(data, path[:-1]) if path else None
    last = path[-1] if path else None
    if isinstance(holder, dict):
        return isinstance(last, str)
    return isinstance(holder, list) and isinstance(last, int) and 0 <= last < len(holder)


def _mask_as_value(path: Path) -> Invalid:
    return Invalid(
        f"{'.'.join(map(str, path))}: {MASK} stands for a secret and cannot be one, "
        "and no secret is stored there that it could stand for.",
        code="mask_as_value",
        hint="Send the secret itself, or null.",
    )


def _origin(new: Any, stored: Any, path: Path) -> Path | None:
    """Where that which lies at `path` of `new` was stored: items of lists are told by their names, else by their places
    while their number is the same."""
    found: list[str | int] = []
    for key in path:
        if isinstance(key, int):
            if not isinstance(stored, list):
                return None
            name = new[key].get("name") if isinstance(new[key], dict) else None
            if isinstance(name, str):
                same = [n for n, item in enumerate(stored) if isinstance(item, dict) and item.get("name") == name]
                if len(same) != 1:
                    return None
                origin: str | int = same[0]
            elif len(stored) == len(new):
                origin = key
            else:
                return None
        else:
            origin = key
        new, stored = new[key], find(stored, (origin,))
        found.append(origin)
    return tuple(found)


def _places(data: JSONObject, secret_fields: Iterable[str], also: Iterable[Path]) -> list[Path]:
    """Where `data` holds a secret that is not None; the outermost ones only, each once."""
    listed = (path for field in secret_fields for path in _walk(data, field.split("."), ()))
    known = (path for path in also if find(data, path) is not None)
    found = dict.fromkeys([*listed, *known, *_variables(data, ())])
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


def _variables(value: Any, path: Path) -> Iterator[Path]:
    """Environment variables that are named like secrets: ``env`` objects, and ``{"name": …, "value": …}`` anywhere."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _variables(item, (*path, index))
    elif isinstance(value, dict):
        if isinstance(value.get("name"), str) and names_a_secret(value["name"]) and is_secret(value.get("value")):
            yield (*path, "value")
        for key, item in value.items():
            if key == "env" and isinstance(item, dict):
                for name, text in item.items():
                    if names_a_secret(name) and is_secret(text):
                        yield (*path, key, name)
            yield from _variables(item, (*path, key))


def _texts(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, (*path, index))


def _get(data: Any, path: Path) -> Any:
    for key in path:
        data = data[key]
    return data


def _set(data: Any, path: Path, value: Any) -> None:
    _get(data, path[:-1])[path[-1]] = value
