"""Settings of an infrastructure one by one, whichever way they are written. Pure.

``{"env.A": 1}``, ``{"env": {"A": 1}}`` and ``{"env": '{"A": 1}'}`` say the same, and are one setting: ``env.A``.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from penstock.model.base import JSONObject


@dataclass(frozen=True)
class Leaf:
    """One setting: the keys that lead to it as it is written, and its value."""

    path: tuple[str, ...]
    value: Any


def leaves(settings: JSONObject) -> dict[str, Leaf]:
    """Every setting by its dotted name. An object without members is one itself."""
    return {".".join(leaf.path).replace("\\.", "."): leaf for leaf in _leaves((), settings)} if settings else {}


def _leaves(path: tuple[str, ...], value: Any) -> Iterator[Leaf]:
    members = _object(value)
    if not members:
        yield Leaf(path, value)
        return
    for key, item in members.items():
        yield from _leaves((*path, key), item)


def _object(value: Any) -> JSONObject:
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = json.loads(value)
        except ValueError:
            return {}
    return value if isinstance(value, dict) else {}


def has_parts(names: Iterable[str], name: str) -> bool:
    """Whether one of `names` is that of a part of the setting `name`."""
    return any(other.startswith(f"{name}.") for other in names)


def contradicts(values: Mapping[str, Any], one: str, other: str) -> bool:
    """Whether two settings, of which at least `one` is among `values`, cannot both hold: one says a part of the other."""
    if other not in values or one == other:
        return False
    upper, lower = sorted((one, other), key=len)
    return has_parts([lower], upper) and values[upper] != {}


def unfolded(written: Mapping[str, Leaf], values: Mapping[str, Any]) -> JSONObject:
    """The settings with these values, each as it is written; by its dotted name where another one is in its way."""
    found: JSONObject = {}
    for name, leaf in written.items():
        holder: Any = found
        for key in leaf.path[:-1]:
            holder = holder.setdefault(key, {}) if isinstance(holder, dict) else None
        if not isinstance(holder, dict):
            found[name] = values[name]
        elif values[name] == {}:
            holder.setdefault(leaf.path[-1], {})
        else:
            holder[leaf.path[-1]] = values[name]
    return found
