"""Strategic merge patches: a part of a Job's manifest, laid over the whole as `kubectl patch --type strategic` does. Pure.

Mappings are merged and null takes a member away. Lists that Kubernetes merges by a key are merged item by item, new items
come after those there are (kubectl has them before, and the first container is the flow run's); all other lists are replaced. ``$patch: delete`` in an item takes it away, ``$patch: replace`` in
a mapping puts the mapping in place of the old one, as an item of a list the other items in place of the old list.
``$retainKeys`` names all members that stay.
"""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from penstock.errors import did_you_mean
from penstock.model.base import JSONObject

#: list -> the member that tells its items apart
MERGE_KEYS = {
    "containers": "name",
    "env": "name",
    "ephemeralContainers": "name",
    "hostAliases": "ip",
    "imagePullSecrets": "name",
    "initContainers": "name",
    "ownerReferences": "uid",
    "ports": "containerPort",
    "resourceClaims": "name",
    "schedulingGates": "name",
    "topologySpreadConstraints": "topologyKey",
    "volumeDevices": "devicePath",
    "volumeMounts": "mountPath",
    "volumes": "name",
}
#: lists of texts that are united
_SETS = ("finalizers",)
_PATCH, _RETAIN = "$patch", "$retainKeys"
_DIRECTIVES = {_PATCH: ("delete", "merge", "replace"), _RETAIN: None}


def check_merge(patch: Any, place: str) -> None:
    """Raise ValueError if no manifest could be merged with `patch`: it names the path below `place`, and why."""
    for path, value in _mappings(patch, ()):
        where = f"{place}: {'.'.join(path)}" if path else place
        for name, given in value.items():
            if name.startswith("$"):
                _check_directive(name, given, where)
            key = MERGE_KEYS.get(name)
            if key is not None and isinstance(given, Mapping | list):  # a label may have that name too
                _check_items(given, key, f"{where}.{name}" if path else f"{where}: {name}")


def merged(document: JSONObject, patch: Mapping[str, Any]) -> JSONObject:
    """`document` with `patch` laid over it; neither is changed."""
    directive = patch.get(_PATCH)
    if directive == "delete":
        return {}
    found = {} if directive == "replace" else dict(document)
    retained = patch.get(_RETAIN)
    if retained is not None:
        found = {name: value for name, value in found.items() if name in retained}
    for name, given in patch.items():
        if name in _DIRECTIVES:
            continue
        if given is None:
            found.pop(name, None)
        else:
            found[name] = _merged_value(name, found.get(name), given)
    return found


def _merged_value(name: str, old: Any, given: Any) -> Any:
    if isinstance(given, Mapping):
        return merged(old if isinstance(old, dict) else {}, given)
    if isinstance(given, list) and name in MERGE_KEYS:
        return _merged_list(old if isinstance(old, list) else [], given, MERGE_KEYS[name])
    if isinstance(given, list) and name in _SETS:
        return [*dict.fromkeys([*(old or []), *given])]
    return copy.deepcopy(given)


def _merged_list(old: list[Any], given: list[Any], key: str) -> list[Any]:
    whole = [item for item in given if item.get(_PATCH) == "replace" and key not in item]
    found = [] if whole else list(old)
    for item in given:
        if item in whole:
            continue
        index = next((at for at, there in enumerate(found) if there.get(key) == item.get(key)), None)
        if item.get(_PATCH) == "delete":
            found = [there for there in found if there.get(key) != item.get(key)]
        elif index is None:
            found.append(merged({}, item))
        else:
            found[index] = merged(found[index], item)
    return found


def _mappings(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """All mappings in `value`, with where they are."""
    if isinstance(value, Mapping):
        yield path, value
        for name, item in value.items():
            yield from _mappings(item, (*path, str(name)))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _mappings(item, (*path[:-1], f"{path[-1] if path else ''}[{index}]"))


def _check_directive(name: str, value: Any, where: str) -> None:
    if name not in _DIRECTIVES:
        raise ValueError(
            f"{where}: there is no {name!r}.{did_you_mean(name, _DIRECTIVES)} There are $patch, $retainKeys."
        )
    known = _DIRECTIVES[name]
    if known is not None and value not in known:
        hint = did_you_mean(str(value), known)
        raise ValueError(f"{where}: {name} is {value!r}; it is one of {', '.join(known)}.{hint}")
    if known is None and not isinstance(value, list):
        raise ValueError(f"{where}: {name} is a list of names.")


def _check_items(items: Any, key: str, where: str) -> None:
    if not isinstance(items, list):
        raise ValueError(f"{where} is a list, even of one item.")
    for index, item in enumerate(items):
        if not isinstance(item, Mapping):
            raise ValueError(f"{where}[{index}] is no mapping.")
        if key not in item and item.get(_PATCH) != "replace":
            raise ValueError(f"{where}[{index}] has no {key!r}, by which the item is found that it changes.")
