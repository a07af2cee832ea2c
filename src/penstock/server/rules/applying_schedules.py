"""What becomes of a deployment's schedules when a file is applied. Pure.

What the file said last knows the live schedule that it stood for by its id; if that is gone, the next one that nothing
else stands for takes its place, because some clients replace a schedule instead of changing it. A schedule of the file is
told again, among the live ones, by its name and its times; one that is not live goes on from what the file said last: from
the same, or, being an edit, from the next that is left.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from penstock.model.applying import KeptValue
from penstock.model.base import JSONObject
from penstock.server.rules.applying import ABSENT, Merged, change, same

_One = TypeVar("_One")
_Other = TypeVar("_Other")

#: The field of a schedule that says its times; all others refine it.
TIMES = "schedule"


@dataclass
class MergedSchedules:
    """What is to be written, and what the file is known to have said from now on."""

    inserted: list[JSONObject] = field(default_factory=list)
    #: live id -> the fields that get another value
    updated: dict[str, JSONObject] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    #: the given schedules, each with the id of the live one that it stands for
    applied: list[JSONObject] = field(default_factory=list)

    @property
    def changes_anything(self) -> bool:
        return bool(self.inserted or self.updated or self.removed)


@dataclass
class _Trio:
    """One schedule as it is given, as it was last applied, and as it is live; None where it is not."""

    given: JSONObject | None
    last: JSONObject | None
    live: JSONObject | None


def merge_schedules(
    given: Sequence[JSONObject] | None,
    last: Sequence[JSONObject] | None,
    live: Sequence[JSONObject],
    force: bool,
    merged: Merged,
) -> MergedSchedules:
    """Merge the schedules; what changes and what is kept is noted in `merged`.

    `given`: those of the file, each with its said fields and a fresh ``id`` for the case that it is new; None clears them.
    `last`: those of the last time, with the ids of the live ones that they stood for; None if none ever were.
    `live`: all their fields, with their ids.
    """
    result = MergedSchedules()
    clears = given is None and (last is None or len(last) > 0)
    for trio in _trios(given or [], last or [], live):
        if trio.given is not None:
            _merge_one(trio.given, trio.last, trio.live, force, result, merged)
        elif trio.live is not None and (trio.last is not None or clears or force or last is None):
            _remove(trio.live, trio.last, result, merged)
    return result


def _trios(given: Sequence[JSONObject], last: Sequence[JSONObject], live: Sequence[JSONObject]) -> list[_Trio]:
    stood_for = {n: o for o, n in _pairs(last, live, [_has_same_id, _has_same_times, _is_left]).items()}
    trios = [_Trio(None, last[stood_for[n]] if n in stood_for else None, item) for n, item in enumerate(live)]
    trios += [_Trio(None, item, None) for o, item in enumerate(last) if o not in stood_for.values()]
    matches: list[Callable[[JSONObject, _Trio], bool]] = [
        lambda now, trio: _says_nothing_new(now, trio) and _was_said(now, trio),
        _says_nothing_new,
        lambda now, trio: _is_live(now, trio) and _was_said(now, trio),
        lambda now, trio: _has_same_name(now, trio.live),
        _is_live,
        _was_said,
        lambda now, trio: _has_same_name(now, trio.last),
        lambda _now, trio: trio.last is not None,
    ]
    found = _pairs(given, trios, matches)
    for index, place in found.items():
        trios[place].given = given[index]
    # in the order of the file, then what the file does not say
    said = [trios[found[index]] if index in found else _Trio(item, None, None) for index, item in enumerate(given)]
    return said + [trio for trio in trios if trio.given is None]


def _pairs(
    ones: Sequence[_One], others: Sequence[_Other], matches: Sequence[Callable[[_One, _Other], bool]]
) -> dict[int, int]:
    """Index of one -> index of the other that it goes with, each at most once; earlier matches go first."""
    found: dict[int, int] = {}
    for fits in matches:
        for index, one in enumerate(ones):
            taken = found.values()
            if index not in found:
                other = next((n for n, item in enumerate(others) if n not in taken and fits(one, item)), None)
                if other is not None:
                    found[index] = other
    return found


def _has_same_id(one: JSONObject, other: JSONObject) -> bool:
    return bool(one["id"] == other["id"])


def _has_same_times(one: JSONObject, other: JSONObject) -> bool:
    return same(one[TIMES], other[TIMES])


def _has_same_name(one: JSONObject, other: JSONObject | None) -> bool:
    return other is not None and one.get("name") is not None and bool(one["name"] == other.get("name"))


def _is_left(_one: JSONObject, _other: JSONObject) -> bool:
    return True


def _is_live(given: JSONObject, trio: _Trio) -> bool:
    return trio.live is not None and _has_same_times(given, trio.live)


def _was_said(given: JSONObject, trio: _Trio) -> bool:
    return trio.last is not None and same(_said(given), _said(trio.last))


def _says_nothing_new(given: JSONObject, trio: _Trio) -> bool:
    return trio.live is not None and all(same(value, trio.live.get(key)) for key, value in _said(given).items())


def _said(schedule: JSONObject) -> JSONObject:
    return {key: value for key, value in schedule.items() if key != "id"}


def _merge_one(
    given: JSONObject,
    last: JSONObject | None,
    live: JSONObject | None,
    force: bool,
    result: MergedSchedules,
    merged: Merged,
) -> None:
    said = _said(given)
    if live is not None:
        result.applied.append({**said, "id": live["id"]})
        changed = _merge_values(said, last or {}, live, force, merged)
        if changed:
            result.updated[live["id"]] = changed
    elif last is not None and same(said, _said(last)) and not force:
        # somebody has deleted it
        result.applied.append(last)
        merged.kept.append(KeptValue(field=name_of(said), live=None, given=said))
    else:
        result.applied.append(given)
        result.inserted.append(given)
        merged.changes.append(change(name_of(said), ABSENT, said, _said(last) if last else ABSENT))


def _merge_values(said: JSONObject, last: JSONObject, live: JSONObject, force: bool, merged: Merged) -> JSONObject:
    """The fields of a live schedule that get another value."""
    changed: JSONObject = {}
    for key, value in said.items():
        applied, place = last.get(key, ABSENT), f"{name_of(live)}.{key}"
        if same(value, live.get(key)):
            continue
        if applied is not ABSENT and same(value, applied) and not force:
            merged.kept.append(KeptValue(field=place, live=live.get(key), given=value))
        else:
            changed[key] = value
            merged.changes.append(change(place, live.get(key), value, applied))
    return changed


def _remove(live: JSONObject, last: JSONObject | None, result: MergedSchedules, merged: Merged) -> None:
    result.removed.append(live["id"])
    told = change(name_of(live), _said(live), ABSENT, _said(last) if last else ABSENT)
    # the last time only some of its fields were said, and only those can have been changed since
    told.changed_elsewhere = _differs(_said(last).items() if last else (), live)
    merged.changes.append(told)


def _differs(said: Iterable[tuple[str, object]], live: JSONObject) -> bool:
    return any(not same(value, live.get(key)) for key, value in said)


def name_of(schedule: JSONObject) -> str:
    """A schedule as a field: ``schedules[0 9 * * *]``."""
    times: JSONObject = schedule[TIMES]
    text = (
        schedule.get("name")
        or times.get("cron")
        or times.get("rrule")
        or f"every {float(times.get('interval') or 0):g} s"
    )
    return f"schedules[{text}]"
