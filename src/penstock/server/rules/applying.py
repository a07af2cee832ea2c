"""What becomes of a deployment when a file is applied: given against last applied against live. Pure.

A field that is not given stays. One that is given as it was last applied stays as it is live: somebody may have changed
it elsewhere. One that is given otherwise than last applied, or was never applied, wins. `docs/decisions/0017` says why.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeVar

from penstock.model.applying import ChangeKind, DeploymentChange, KeptValue
from penstock.model.base import JSONObject
from penstock.model.block_documents import MASK
from penstock.model.secret_texts import is_secret, masked, names_a_secret
from penstock.model.work_pools import DEFAULT_POOL
from penstock.model.work_queues import DEFAULT_QUEUE
from penstock.server.rules.setting_paths import contradicts, has_parts, leaves, unfolded

Told = TypeVar("Told", DeploymentChange, KeptValue)
#: Fields of what is told that hold values of the deployment.
_VALUES = frozenset({"before", "after", "last_applied", "live", "given"})


class Absent(Enum):
    """A place where nothing is, which is not the same as null."""

    ABSENT = "absent"


ABSENT = Absent.ABSENT


class Kind(Enum):
    """How the values of a field are merged."""

    #: describes the code, as it was found: the given value always wins
    CODE = "code"
    #: one value
    VALUE = "value"
    #: a map, merged key by key
    MAP = "map"
    #: a map of settings, each of which can be written in several ways
    TREE = "tree"
    #: a set of texts
    TAGS = "tags"


#: Every field but the schedules, with what clearing it makes of it.
FIELDS: dict[str, tuple[Kind, Any]] = {
    "description": (Kind.VALUE, None),
    "version": (Kind.CODE, None),
    "tags": (Kind.TAGS, []),
    "parameters": (Kind.MAP, {}),
    "parameter_openapi_schema": (Kind.CODE, None),
    "enforce_parameter_schema": (Kind.VALUE, False),
    "is_schedule_active": (Kind.VALUE, True),
    "concurrency_limit": (Kind.VALUE, None),
    "work_pool_name": (Kind.VALUE, DEFAULT_POOL),
    "work_queue_name": (Kind.VALUE, DEFAULT_QUEUE),
    "infra_overrides": (Kind.TREE, {}),
    "infrastructure": (Kind.VALUE, None),
    "storage": (Kind.VALUE, None),
    "path": (Kind.CODE, None),
    "entrypoint": (Kind.CODE, None),
    "manifest_path": (Kind.CODE, None),
    "pull_steps": (Kind.CODE, None),
}

#: Fields that hold a block: told by whoever can read blocks.
BLOCKS = ("infrastructure", "storage")


@dataclass
class Merged:
    """What a merge has come to: fields with their new values, and what is to be told of it."""

    #: only what is not live already
    values: JSONObject = field(default_factory=dict)
    changes: list[DeploymentChange] = field(default_factory=list)
    kept: list[KeptValue] = field(default_factory=list)


def same(one: Any, other: Any) -> bool:
    """Whether two pieces of JSON data are equal; true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def merge_fields(
    given: Mapping[str, Any], last: Mapping[str, Any], live: Mapping[str, Any], forced: Collection[str] = ()
) -> Merged:
    """Merge all fields of FIELDS. `last`: what was last applied, without the fields that never were."""
    merged = Merged()
    for name, (kind, default) in FIELDS.items():
        if name in given:
            if name == "path" and any(kept.field == "storage" for kept in merged.kept):
                kind = Kind.VALUE  # it leads into the storage that somebody has put there
            _merge_field(merged, name, kind, default, given[name], last.get(name, ABSENT), live[name], name in forced)
    return merged


def _merge_field(
    merged: Merged, name: str, kind: Kind, default: Any, given: Any, last: Any, live: Any, force: bool
) -> None:
    after: Any
    cleared = given is None and not (force or _says_nothing(last))
    given = default if given is None else given
    last = default if last is None else last
    if kind in (Kind.MAP, Kind.TREE):
        last_map = {} if last is ABSENT else last
        merge = _merge_tree if kind is Kind.TREE else _merge_map
        after = merge(merged, name, given, last_map, live, force or cleared)
    elif kind is Kind.TAGS:
        after = live if same(sorted(given), sorted(live)) else merged_tags(given, last, live, force or cleared)
        _tell(merged, name, after, last, live)
        if sorted(after) != sorted(given):
            merged.kept.append(KeptValue(field=name, live=after, given=given))
    else:
        stays = kind is Kind.VALUE and not force and same(given, last)
        after = live if stays else given
        _tell_whole(merged, name, after, last, live)
        if stays and not same(given, live):
            merged.kept.append(KeptValue(field=name, live=live, given=given))
    if not same(after, live):
        merged.values[name] = after


def _says_nothing(last: Any) -> bool:
    """Whether what was last applied was nothing: clearing once more clears nothing that people have set since."""
    return last is None or last == [] or last == {}


def merged_tags(given: list[str], last: Any, live: list[str], force: bool) -> list[str]:
    """`live` with the tags that are given now, without those that were given before and are not any more."""
    given = list(dict.fromkeys(given))
    if force or last is ABSENT:
        return given
    kept = [tag for tag in live if tag in given or tag not in last]
    return kept + [tag for tag in given if tag not in kept and tag not in last]


def _merge_map(
    merged: Merged, path: str, given: JSONObject, last: JSONObject, live: JSONObject, force: bool
) -> JSONObject:
    """Key by key: one that was given before and is not any more goes; one that never was given stays."""
    after: JSONObject = {}
    for key in dict.fromkeys([*live, *given]):
        place = f"{path}.{key}"
        now, before, applied = (part.get(key, ABSENT) for part in (given, live, last))
        if now is ABSENT:
            value = ABSENT if force or applied is not ABSENT else before
        elif applied is not ABSENT and same(now, applied) and not force:
            value = before
            if not equal(now, before):
                merged.kept.append(KeptValue(field=place, live=_shown(before), given=now))
        else:
            value = now
        _tell(merged, place, value, applied, before)
        if value is not ABSENT:
            after[key] = value
    return after


def _merge_tree(
    merged: Merged, path: str, given: JSONObject, last: JSONObject, live: JSONObject, force: bool
) -> JSONObject:
    """Setting by setting, however each is written; what would contradict one that is given goes."""
    said, before = leaves(given), leaves(live)
    now, applied, found = ({key: leaf.value for key, leaf in part.items()} for part in (said, leaves(last), before))
    if not force:  # an empty object adds nothing to what it has live
        now = {key: value for key, value in now.items() if value != {} or not has_parts(found, key)}
    after = _merge_map(merged, path, now, applied, found, force)
    for key in [key for key in after if key not in said and any(contradicts(after, key, other) for other in said)]:
        _tell(merged, f"{path}.{key}", ABSENT, ABSENT, after.pop(key))
    if same(after, found):
        return live
    return unfolded({key: said[key] if key in said else before[key] for key in after}, after)


def _tell_whole(merged: Merged, place: str, after: Any, last: Any, live: Any) -> None:
    """Note the change of a value that is merged as a whole; of two objects, where they differ."""
    if place in BLOCKS or not (isinstance(after, dict) and isinstance(live, dict)):
        _tell(merged, place, after, last, live)
        return
    for path in differences(live, after):
        _tell(merged, ".".join((place, *path)), at(after, path), at(last, path), at(live, path))


def at(data: Any, path: Iterable[str]) -> Any:
    """What lies at a path of keys; ABSENT if nothing does."""
    for key in path:
        if not isinstance(data, dict) or key not in data:
            return ABSENT
        data = data[key]
    return data


def _tell(merged: Merged, place: str, after: Any, last: Any, live: Any) -> None:
    """Note the change at `place`, if there is one."""
    if not equal(after, live):
        merged.changes.append(change(place, live, after, last))


def change(place: str, before: Any, after: Any, last: Any) -> DeploymentChange:
    """A change; ABSENT where there was or will be nothing, or nothing was applied before."""
    kind = ChangeKind.ADDED if before is ABSENT else ChangeKind.REMOVED if after is ABSENT else ChangeKind.CHANGED
    return DeploymentChange(
        field=place,
        kind=kind,
        before=_shown(before),
        after=_shown(after),
        last_applied=_shown(last),
        changed_elsewhere=last is not ABSENT and not equal(last, before),
    )


def equal(one: Any, other: Any) -> bool:
    """Whether two places hold the same, or both nothing."""
    return one is other if ABSENT in (one, other) else same(one, other)


def _shown(value: Any) -> Any:
    return None if value is ABSENT else value


def differences(before: JSONObject, after: JSONObject) -> Iterator[tuple[str, ...]]:
    """The places where two objects differ, as paths of keys, each as deep as both are objects."""
    for key in dict.fromkeys([*before, *after]):
        one, other = before.get(key, ABSENT), after.get(key, ABSENT)
        if isinstance(one, dict) and isinstance(other, dict):
            yield from ((key, *rest) for rest in differences(one, other))
        elif not equal(one, other):
            yield (key,)


def without_secrets(told: Told) -> Told:
    """A change or a kept value as it may be shown."""
    name = re.split(r"[.\]]", told.field)[-1]
    values = {key: _masked(name, value) for key, value in told if key in _VALUES}
    return told.model_copy(update=values)


def _masked(name: str, value: Any) -> Any:
    """`value`, which bears `name`, with masks in place of what is named like a secret and of passwords in URLs."""
    if names_a_secret(name) and is_secret(value):
        return MASK
    value = masked(value)
    if isinstance(value, dict):
        return {key: _masked(str(key), item) for key, item in value.items()}
    if isinstance(value, list):
        return [_masked("", item) for item in value]
    return value
