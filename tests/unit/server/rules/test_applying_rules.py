"""Given against last applied against live: what becomes of each field, as claims about the pure rules."""

import itertools
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from penstock.model.applying import ChangeKind
from penstock.server.rules import setting_paths
from penstock.server.rules.applying import FIELDS, Merged, differences, merge_fields, same, without_secrets
from penstock.server.rules.applying_schedules import MergedSchedules, merge_schedules

BLANK: dict[str, Any] = {name: default for name, (_, default) in FIELDS.items()}
OMITTED = "omitted"


def merge(field: str, given: Any, last: Any, live: Any, force: bool = False) -> Merged:
    """`given` and `last` may be OMITTED."""
    said = {} if given is OMITTED else {field: given}
    before = {} if last is OMITTED else {field: last}
    return merge_fields(said, before, {**BLANK, field: live}, {field} if force else ())


def after(field: str, given: Any, last: Any, live: Any, force: bool = False) -> Any:
    return merge(field, given, last, live, force).values.get(field, live)


NEVER = OMITTED


@pytest.mark.parametrize(
    ("given", "last", "live", "expected"),
    [
        # never applied: what is given wins
        (OMITTED, NEVER, "people", "people"),
        (None, NEVER, "people", None),
        ("file", NEVER, "people", "file"),
        # applied and unchanged elsewhere
        (OMITTED, "file", "file", "file"),
        (None, "file", "file", None),
        ("file", "file", "file", "file"),
        ("new", "file", "file", "new"),
        # applied and changed elsewhere: the same again keeps what people made of it
        (OMITTED, "file", "people", "people"),
        (None, "file", "people", None),
        (None, None, "people", "people"),
        ("file", "file", "people", "people"),
        ("new", "file", "people", "new"),
    ],
)
def test_one_value(given: Any, last: Any, live: Any, expected: Any) -> None:
    assert after("description", given, last, live) == expected


@pytest.mark.parametrize(
    ("given", "last", "live", "expected"),
    [
        # of a key that is not given, nothing is known unless it was applied
        ({}, NEVER, {"x": 2}, {"x": 2}),
        ({"x": None}, NEVER, {"x": 2}, {"x": None}),
        ({"x": 1}, NEVER, {"x": 2}, {"x": 1}),
        # a key that was applied and is not given any more goes
        ({}, {"x": 1}, {"x": 1}, {}),
        ({"x": None}, {"x": 1}, {"x": 1}, {"x": None}),
        ({"x": 1}, {"x": 1}, {"x": 1}, {"x": 1}),
        ({"x": 3}, {"x": 1}, {"x": 1}, {"x": 3}),
        ({}, {"x": 1}, {"x": 2}, {}),
        ({"x": None}, {"x": 1}, {"x": 2}, {"x": None}),
        ({"x": 1}, {"x": 1}, {"x": 2}, {"x": 2}),
        ({"x": 3}, {"x": 1}, {"x": 2}, {"x": 3}),
        # somebody took the key away
        ({"x": 1}, {"x": 1}, {}, {}),
        ({"x": 3}, {"x": 1}, {}, {"x": 3}),
        # the map as a whole
        (OMITTED, {"x": 1}, {"x": 2}, {"x": 2}),
        (None, NEVER, {"x": 2}, {}),
        (None, {"x": 1}, {"x": 1, "y": 2}, {}),
        (None, None, {"y": 2}, {"y": 2}),
        (None, {}, {"y": 2}, {"y": 2}),
    ],
)
@pytest.mark.parametrize("field", ["parameters", "infra_overrides"])
def test_a_key_of_a_map(field: str, given: Any, last: Any, live: Any, expected: Any) -> None:
    found = after(field, given, last, live)
    assert found == expected
    assert list(map(type, found.values())) == list(map(type, expected.values()))


@pytest.mark.parametrize(
    ("given", "last", "live", "expected"),
    [
        (OMITTED, NEVER, ["people"], ["people"]),
        (None, NEVER, ["people"], []),
        (["file"], NEVER, ["people"], ["file"]),
        (OMITTED, ["file"], ["file"], ["file"]),
        (None, ["file"], ["file"], []),
        (["file"], ["file"], ["file"], ["file"]),
        (["new"], ["file"], ["file"], ["new"]),
        (OMITTED, ["file"], ["file", "people"], ["file", "people"]),
        (None, ["file"], ["file", "people"], []),
        (None, None, ["people"], ["people"]),
        (["file"], ["file"], ["file", "people"], ["file", "people"]),
        (["file"], ["file"], ["people"], ["people"]),
        (["file", "new"], ["file"], ["people"], ["people", "new"]),
        ([], ["file"], ["people", "file"], ["people"]),
        (["b", "a"], ["a", "b"], ["a", "b"], ["a", "b"]),
    ],
)
def test_tags(given: Any, last: Any, live: Any, expected: Any) -> None:
    assert after("tags", given, last, live) == expected


def test_settings_are_merged_at_every_depth_and_parameters_are_not() -> None:
    given, last, live = {"env": {"A": 2}}, {"env": {"A": 1}}, {"env": {"A": 1, "B": 1}}
    assert after("infra_overrides", given, last, live) == {"env": {"A": 2, "B": 1}}
    assert after("parameters", given, last, live) == given


@pytest.mark.parametrize(
    ("given", "last", "live", "expected"),
    [
        # however a setting is written, it is one
        ({"env": {"A": "1"}}, {"env": {"A": "1"}}, {"env.A": "people"}, {"env.A": "people"}),
        (
            {"env": {"A": "2"}},
            {"env": {"A": "1"}},
            {"env.A": "people", "env.B": "1"},
            {"env": {"A": "2"}, "env.B": "1"},
        ),
        ({"env.A": "2"}, {"env.A": "1"}, {"env": {"A": "1", "B": "1"}}, {"env.A": "2", "env": {"B": "1"}}),
        ({"env": '{"A": "2"}'}, {"env": '{"A": "1"}'}, {"env": {"A": "1", "B": "1"}}, {"env": {"A": "2", "B": "1"}}),
        ({}, {"env.A": "1"}, {"env": {"A": "1", "B": "1"}}, {"env": {"B": "1"}}),
        ({"labels": {"a.b/c": "1"}}, NEVER, {"labels.a.b/c": "2"}, {"labels": {"a.b/c": "1"}}),
        # what would contradict one that is given goes, and what adds to it stays
        ({"networks": ["file"]}, NEVER, {"networks.0": "people"}, {"networks": ["file"]}),
        ({"networks.0": "file"}, NEVER, {"networks": ["people"]}, {"networks.0": "file"}),
        ({"env": {}}, NEVER, {"env.A": "people"}, {"env.A": "people"}),
        # but not one that is kept as somebody made it
        ({"networks": ["file"]}, {"networks": ["file"]}, {"networks.0": "people"}, {"networks.0": "people"}),
    ],
)
def test_settings_are_one_by_one_however_they_are_written(given: Any, last: Any, live: Any, expected: Any) -> None:
    merged = merge("infra_overrides", given, last, live)
    found = merged.values.get("infra_overrides", live)
    assert found == expected
    assert bool(merged.changes) == (found != live)
    again = merge("infra_overrides", given, given, found)
    assert again.values == {}


@pytest.mark.parametrize("field", ["path", "entrypoint", "version"])
def test_what_describes_the_code_is_always_taken(field: str) -> None:
    assert after(field, "/file", "/file", "/people") == "/file"


def test_a_true_is_told_from_a_one() -> None:
    assert after("parameters", {"x": True}, {"x": 1}, {"x": 1})["x"] is True
    assert not same([1], [True])
    assert same({"a": [1.0, None]}, {"a": [1, None]})


def test_the_path_goes_with_the_storage() -> None:
    said, live = {"storage": {"id": 1}, "path": "/file"}, {**BLANK, "storage": {"id": 2}, "path": "/people"}
    assert merge_fields(said, said, live).values == {}
    assert merge_fields(said, {}, live).values == said
    assert merge_fields(said, said, {**live, "storage": {"id": 1}}).values == {"path": "/file"}


def test_with_force_the_file_wins_everywhere() -> None:
    assert after("description", "file", "file", "people", force=True) == "file"
    assert after("parameters", {"x": 1}, {"x": 1}, {"x": 2, "y": 3}, force=True) == {"x": 1}
    assert after("infra_overrides", {"env": {"A": 1}}, NEVER, {"env": {"B": 1}}, force=True) == {"env": {"A": 1}}
    assert after("tags", ["file"], ["file"], ["people"], force=True) == ["file"]
    assert after("tags", None, None, ["people"], force=True) == []


def test_a_change_says_what_it_undoes() -> None:
    (told,) = merge("parameters", {"x": 3}, {"x": 1}, {"x": 2}).changes
    assert (told.field, told.kind, told.before, told.after) == ("parameters.x", ChangeKind.CHANGED, 2, 3)
    assert (told.last_applied, told.changed_elsewhere) == (1, True)
    (told,) = merge("parameters", {"x": 3}, {"x": 1}, {"x": 1}).changes
    assert not told.changed_elsewhere
    (told,) = merge("parameters", {"x": 3}, NEVER, {}).changes
    assert (told.kind, told.changed_elsewhere) == (ChangeKind.ADDED, False)


def test_what_is_kept_is_said() -> None:
    kept = merge("description", "file", "file", "people").kept
    assert [(item.field, item.live, item.given) for item in kept] == [("description", "people", "file")]
    kept = merge("parameters", {"x": 1}, {"x": 1}, {}).kept
    assert [(item.field, item.live, item.given) for item in kept] == [("parameters.x", None, 1)]
    assert merge("tags", ["a"], ["a"], ["a", "b"]).kept[0].live == ["a", "b"]


def test_secrets_are_masked_in_what_is_told() -> None:
    found = merge("infra_overrides", {"env": {"DB_PASSWORD": "hunter2"}, "url": "http://u:hunter2@h/"}, NEVER, {})
    text = str([without_secrets(item) for item in found.changes])
    assert "hunter2" not in text
    assert "DB_PASSWORD" in text
    found = merge("parameters", {"api_key": "hunter2"}, {"api_key": "hunter2"}, {"api_key": "hunter3"})
    assert "hunter" not in str([without_secrets(item) for item in found.kept])


# Any three states of a deployment.

TEXTS = st.sampled_from(["a", "b", "a.b"])
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(0, 2), TEXTS)
TREES = st.recursive(LEAVES, lambda below: st.dictionaries(TEXTS, below, max_size=3), max_leaves=6)
MAPS = st.dictionaries(TEXTS, TREES, max_size=3)
TAGS = st.lists(TEXTS, unique=True)


def _overlap(one: str, other: str) -> bool:
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")


def _is_sound(settings: dict[str, Any]) -> bool:
    """Whether nothing is set twice: what contradicts itself is refused before it is sent."""
    names = [".".join(leaf.path) for leaf in setting_paths._leaves((), settings)] if settings else []
    return not any(_overlap(one, other) for one, other in itertools.combinations(names, 2))


SETTINGS = MAPS.filter(_is_sound)
VALUES = {"description": LEAVES, "parameters": MAPS, "infra_overrides": SETTINGS, "tags": TAGS, "path": LEAVES}
LIVE = st.fixed_dictionaries(VALUES).map(lambda values: {**BLANK, **values})
SAID = st.fixed_dictionaries({}, optional={name: st.one_of(st.none(), values) for name, values in VALUES.items()})


@for_all(SAID, SAID, LIVE, st.booleans())
def test_applied_twice_nothing_changes(said: Any, last: Any, live: Any, force: bool) -> None:
    forced = set(FIELDS) if force else set()
    once = {**live, **merge_fields(said, last, live, forced).values}
    again = merge_fields(said, {**last, **said}, once, forced)
    assert again.values == {}
    assert again.changes == []


@for_all(SAID, LIVE, st.booleans())
def test_what_is_live_already_changes_nothing(last: Any, live: Any, force: bool) -> None:
    merged = merge_fields(live, last, live, set(FIELDS) if force else set())
    assert merged.values == {}
    assert merged.changes == merged.kept == []


@for_all(SAID, SAID, LIVE)
def test_what_was_never_said_stays(said: Any, last: Any, live: Any) -> None:
    merged = merge_fields(said, last, live)
    assert not merged.values.keys() - said.keys()
    for field, parts in (("parameters", dict), ("infra_overrides", _one_by_one)):
        if said.get(field) is None or field not in merged.values:
            continue
        now, before, after = (parts(part[field] or {}) for part in (said, {**BLANK, **last}, merged.values))
        for key, value in parts(live[field]).items():
            if not any(_overlap(key, other) for other in [*now, *before]):
                assert same(after[key], value)


def _one_by_one(values: Any) -> dict[str, Any]:
    return {name: leaf.value for name, leaf in setting_paths.leaves(values).items()}


@for_all(SAID, SAID, LIVE)
def test_with_force_all_that_is_said_is_live_afterwards(said: Any, last: Any, live: Any) -> None:
    merged = {**live, **merge_fields(said, last, live, set(FIELDS)).values}
    for field, value in said.items():
        wanted = BLANK[field] if value is None else value
        found = merged[field]
        if field == "tags":
            found, wanted = sorted(found), sorted(wanted)
        elif field == "infra_overrides":
            found, wanted = _one_by_one(found), _one_by_one(wanted)
        assert same(found, wanted)


@for_all(SAID, SAID, LIVE)
def test_there_is_a_change_to_tell_wherever_something_changes(said: Any, last: Any, live: Any) -> None:
    merged = merge_fields(said, last, live)
    assert {change.field.split(".")[0] for change in merged.changes} == set(merged.values)


@for_all(MAPS, MAPS)
def test_two_objects_differ_where_they_are_said_to(one: Any, other: Any) -> None:
    assert (list(differences(one, other)) == []) == same(one, other)


# Schedules.

NINE, TEN, NOON = ({"cron": f"0 {hour} * * *", "timezone": None, "day_or": True} for hour in (9, 10, 12))


class Schedules:
    """The schedules of one deployment through a story of files and people."""

    def __init__(self) -> None:
        self.live: list[dict[str, Any]] = []
        self.last: list[dict[str, Any]] | None = None
        self.merged = Merged()
        self._count = 0

    def new_id(self) -> str:
        self._count += 1
        return str(self._count)

    def apply(self, *said: Any, force: bool = False, clear: bool = False) -> "Schedules":
        given = [{"id": self.new_id(), **(one if "schedule" in one else {"schedule": one})} for one in said]
        self.merged = Merged()
        result = merge_schedules(None if clear else given, self.last, self.live, force, self.merged)
        self._write(result)
        return self

    def _write(self, result: MergedSchedules) -> None:
        self.live = [one for one in self.live if one["id"] not in result.removed]
        self.live = [{**one, **result.updated.get(one["id"], {})} for one in self.live]
        self.live += [{"active": True, "parameters": {}, **one} for one in result.inserted]
        self.last = result.applied

    def add(self, times: Any, **fields: Any) -> None:
        """Somebody adds one elsewhere."""
        self.live.append({"id": self.new_id(), "schedule": times, "active": True, "parameters": {}, **fields})

    @property
    def times(self) -> list[Any]:
        return [one["schedule"] for one in self.live]

    @property
    def changed(self) -> list[str]:
        return [change.field for change in self.merged.changes]


def test_never_applied_the_files_schedules_win() -> None:
    story = Schedules()
    story.add(TEN)
    assert story.apply(NINE).times == [NINE]
    story = Schedules()
    story.add(TEN)
    assert story.apply(clear=True).times == []
    story = Schedules()
    story.add(NINE, active=False)
    assert story.apply(NINE).live[0]["active"] is False


def test_what_was_applied_and_left_alone_follows_the_file() -> None:
    assert Schedules().apply(NINE).apply(NINE).times == [NINE]
    assert Schedules().apply(NINE).apply(TEN).times == [TEN]
    assert Schedules().apply(NINE).apply(NINE, TEN).times == [NINE, TEN]
    assert Schedules().apply(NINE, TEN).apply(TEN).times == [TEN]
    assert Schedules().apply(NINE).apply(clear=True).times == []


def test_an_edited_schedule_is_still_the_same_one() -> None:
    story = Schedules().apply(NINE)
    mine = story.live[0]["id"]
    story.live[0]["active"] = False
    story.apply(TEN)
    assert [(one["id"], one["schedule"], one["active"]) for one in story.live] == [(mine, TEN, False)]
    assert story.changed == ["schedules[0 9 * * *].schedule"]


def test_what_people_made_of_a_schedule_stays_until_the_file_says_something_else() -> None:
    story = Schedules().apply(NINE)
    story.live[0]["schedule"] = NOON
    assert story.apply(NINE).times == [NOON]
    assert story.changed == []
    assert story.merged.kept[0].given == NINE
    assert story.apply(TEN).times == [TEN]
    assert story.merged.changes[0].changed_elsewhere


def test_a_schedule_that_people_added_stays_beside_the_files_own() -> None:
    story = Schedules().apply(NINE)
    story.add(NOON)
    assert story.apply(NINE).times == [NINE, NOON]
    assert story.apply(TEN).times == [TEN, NOON]
    assert story.apply().times == [NOON]
    story = Schedules().apply(NINE)
    story.add(NOON)
    assert story.apply(clear=True).times == []


def test_null_where_the_file_said_nothing_keeps_a_schedule_of_people() -> None:
    story = Schedules().apply(clear=True)
    story.add(NOON)
    assert story.apply(clear=True).times == [NOON]
    assert story.apply(clear=True, force=True).times == []


def test_a_schedule_that_people_deleted_stays_away() -> None:
    story = Schedules().apply(NINE)
    story.live.clear()
    assert story.apply(NINE).times == []
    assert story.merged.kept[0].live is None
    assert story.apply(NINE, force=True).times == [NINE]
    story.live.clear()
    assert story.apply(TEN).times == [TEN]


def test_a_schedule_that_was_replaced_counts_as_edited() -> None:
    story = Schedules().apply(NINE)
    story.live.clear()
    story.add(NOON)
    assert story.apply(NINE).times == [NOON]
    assert story.apply(TEN).times == [TEN]


def test_a_schedule_goes_by_its_name() -> None:
    one, other = {"schedule": NINE, "name": "one"}, {"schedule": NINE, "name": "other", "parameters": {"x": 1}}
    story = Schedules().apply(one, other)
    ids = {item["name"]: item["id"] for item in story.live}
    story.apply({**other, "schedule": TEN}, {**one, "schedule": NOON})
    assert {item["name"]: item["id"] for item in story.live} == ids
    assert {item["name"]: item["schedule"] for item in story.live} == {"one": NOON, "other": TEN}


def test_fields_of_a_schedule_are_merged_one_by_one() -> None:
    story = Schedules().apply({"schedule": NINE, "active": True, "parameters": {"x": 1}})
    story.live[0] |= {"active": False, "parameters": {"x": 9}}
    story.apply({"schedule": NINE, "active": True, "parameters": {"x": 2}})
    assert story.live[0]["active"] is False
    assert story.live[0]["parameters"] == {"x": 2}
    assert story.changed == ["schedules[0 9 * * *].parameters"]
    assert [item.field for item in story.merged.kept] == ["schedules[0 9 * * *].active"]


TIMES = st.sampled_from([NINE, TEN, NOON])
ENTRIES = st.fixed_dictionaries({"schedule": TIMES}, optional={"active": st.booleans(), "parameters": MAPS})
FILES = st.lists(ENTRIES, max_size=3)
DEEDS = st.lists(
    st.one_of(
        st.tuples(st.just("edit"), st.integers(0, 3), TIMES),
        st.tuples(st.just("pause"), st.integers(0, 3), st.none()),
        st.tuples(st.just("delete"), st.integers(0, 3), st.none()),
        st.tuples(st.just("add"), st.just(0), TIMES),
    ),
    max_size=3,
)


def _do(story: Schedules, deeds: Any) -> None:
    for deed, place, times in deeds:
        if deed == "add":
            story.add(times)
        elif place < len(story.live):
            if deed == "edit":
                story.live[place]["schedule"] = times
            elif deed == "pause":
                story.live[place]["active"] = False
            else:
                story.live.pop(place)


@for_all(FILES, DEEDS, FILES, DEEDS, FILES, st.booleans(), st.booleans())
def test_schedules_applied_twice_do_not_change(
    first: Any, deeds: Any, second: Any, more: Any, third: Any, clear: bool, force: bool
) -> None:
    story = Schedules().apply(*first)
    _do(story, deeds)
    story.apply(*second, clear=clear)
    _do(story, more)
    once = [dict(one) for one in story.apply(*third, force=force).live]
    story.apply(*third, force=force)
    assert story.live == once
    assert story.changed == []


@for_all(FILES, DEEDS)
def test_schedules_that_are_live_already_do_not_change(first: Any, deeds: Any) -> None:
    story = Schedules().apply(*first)
    _do(story, deeds)
    before = [dict(one) for one in story.live]
    story.apply(*[{key: value for key, value in one.items() if key != "id"} for one in before])
    assert story.live == before
    assert story.changed == []
