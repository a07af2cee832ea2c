"""Deployment files: what is wrong in one is told with its line, what a person wrote into one survives."""

import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from deployment_texts import BY_HAND, FULL

from penstock import flow
from penstock.deployments import Deployment
from penstock.errors import ConfigurationError, ParameterError, PenstockError
from penstock.infrastructure import Process
from penstock.model.schedules import CronSchedule
from penstock.sdk import deployment_file, yaml_edits, yaml_lines

_LETTERS = "abcdefghijklmnopqrstuvwxyz_"


@flow
def greet(name: str = "world", times: int = 1) -> None:
    """Greets."""


def _load(tmp_path: Path, text: str) -> Deployment:
    file = tmp_path / "some.yaml"
    file.write_text(text)
    return Deployment.load_from_yaml(file)


def _keys(text: str) -> Iterator[tuple[int, int, str]]:
    """Line, column and name of every key, but those of a JSON schema, which knows any."""
    for number, line in enumerate(text.splitlines()):
        found = re.match(r"^(\s*(?:- )?)([A-Za-z_.]+):", line)
        if found and "position" not in line:
            yield number, found.start(2), found.group(2)


def _slip(word: str, chance: random.Random) -> str:
    """`word` with one letter too many, too few, wrong, or two of them swapped. Of a dotted word its first part."""
    head, dot, tail = word.partition(".")
    place = chance.randrange(len(head))
    letter = chance.choice(_LETTERS)
    kind = chance.choice(["insert", "delete", "replace", "swap"])
    if kind == "insert":
        head = head[:place] + letter + head[place:]
    elif kind == "delete":
        head = head[:place] + head[place + 1 :]
    elif kind == "replace":
        head = head[:place] + letter + head[place + 1 :]
    else:
        place = min(place, len(head) - 2)
        head = head[:place] + head[place + 1] + head[place] + head[place + 2 :]
    return f"{head}{dot}{tail}"


def _slips() -> Iterator[tuple[int, str, str, str]]:
    """Line from 1, right word, wrong word, text: several hundred, the same ones every time."""
    chance = random.Random(2026)
    lines = FULL.splitlines()
    known = {word for _, _, word in _keys(FULL)} | {"rrule", "interval", "cron"}
    for number, column, word in _keys(FULL):
        for _ in range(6):
            wrong = _slip(word, chance)
            if wrong.partition(".")[0] in {"", *known} or wrong == word:
                continue
            line = lines[number]
            changed = [*lines[:number], line[:column] + wrong + line[column + len(word) :], *lines[number + 1 :]]
            yield number + 1, word, wrong, "\n".join(changed) + "\n"


def test_a_slip_of_one_letter_in_any_key_is_an_error_with_its_line_and_the_right_name(tmp_path: Path) -> None:
    assert _load(tmp_path, FULL).concurrency_limit == 3
    silent, unclear, tried = [], [], 0
    for line, word, wrong, text in _slips():
        tried += 1
        try:
            _load(tmp_path, text)
        except PenstockError as error:
            right = word.partition(".")[0]
            if f"some.yaml:{line}:" not in error.message or f"Did you mean '{right}'" not in error.message:
                unclear.append((line, word, wrong, error.message))
        else:
            silent.append((line, word, wrong))
    assert tried > 300
    assert silent == []
    assert unclear == []


@pytest.mark.parametrize(
    ("old", "new", "at", "said"),
    [
        ("tags: [a]", "tags: [a]\ntags: [b]", "tags: [b]", "the key 'tags' stands twice here, first in line 9"),
        ("  env: {}\n", "  env: {}\n  env: {A: b}\n", "env: {A: b}", "'env' stands twice"),
        ("work_pool_name: null", "\twork_pool_name: null", "\twork_pool_name", "not valid YAML"),
        ("tags: [a]", "tags: [a", "parameters:", "not valid YAML"),
        ("day_or: true", "day_or: sometimes", "day_or:", "schedule: day_or: "),
        ("interval: 3600", "interval: -1", "interval: -1", "schedules: "),
        ("  cron: 0 9 * * *", "  cron: 0 9 * * *\n  interval: 5", "schedule:", "has interval and cron"),
        ("  cron: 0 9 * * *\n", "", "schedule:", "has neither"),
        ("concurrency_limit: 3", "concurrency_limit: -3", "concurrency_limit: -3", "concurrency_limit: "),
        ("  stream_output: true", "  stream_output: sometimes", "  stream_output:", "stream_output: "),
        ("  auto_remove: true", "  auto_remove: perhaps", "  auto_remove: perhaps", "auto_remove: "),
        ("    username: w", "    usernme: w", "    usernme", "Did you mean 'username'"),
        ("  times: 2", "  tims: 2", "  tims: 2", "Did you mean 'times'"),
        ("name: full", "name: a/b", "name: a/b", "may not contain"),
        ("name: full", "name:", "name:", "'name' is missing"),
        ("triggers: []", "triggers: [x]", "triggers:", "triggers are not supported"),
        ("secret_access_key: ${env:KEY}", "secret_access_key: '********'", "  aws_secret_access_key", "masked secret"),
        ("_slug: docker-container", "_slug: docker-contaner", "  block_type_slug: docker-con", "'docker-container'"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, old: str, new: str, at: str, said: str) -> None:
    assert old in FULL
    text = FULL.replace(old, new, -1 if "slug" in old else 1)
    with pytest.raises((ConfigurationError, ParameterError)) as refused:
        _load(tmp_path, text)
    line = next(number for number, line in enumerate(text.splitlines(), 1) if at in line)
    assert said in refused.value.message
    assert f"some.yaml:{line}:" in refused.value.message


@pytest.mark.parametrize(
    ("text", "said"), [("", "does not hold"), ("- a\n", "no mapping"), ("a: *b\n", "not valid"), ("a: &x [*x]\n", "itself")]
)  # fmt: skip
def test_what_is_no_deployment_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        _load(tmp_path, text)


def test_values_are_taken_as_they_are_written(tmp_path: Path) -> None:
    text = (
        BY_HAND.replace("version: 7", "version: 1.10")
        .replace("work_queue_name: q", "work_queue_name: 007")
        .replace("    A: ", "    on: yes please\n    A: ")
    )
    found = _load(tmp_path, text)
    assert (found.version, found.work_queue_name) == ("1.10", "007")
    assert found.infrastructure.env == {"B": "2", "on": "yes please", "A": "1"}


def test_the_command_of_prefect_2_files_means_the_own_engine(tmp_path: Path) -> None:
    text = BY_HAND.replace("  type: process\n", "  type: process\n  command: [python, -m, prefect.engine]\n")
    assert _load(tmp_path, text).infrastructure.command is None
    kept = _load(tmp_path, text.replace("prefect.engine", "mine.engine"))
    assert kept.infrastructure.command == ["python", "-m", "mine.engine"]


def _built(file: Path, **fields: Any) -> Deployment:
    return Deployment.planned(
        greet, "nightly", {"entrypoint": "greet.py:greet", **fields}, file=file, load_existing=False
    )


def test_what_a_person_wrote_into_the_upper_part_survives_when_it_is_built_again(tmp_path: Path) -> None:
    file = tmp_path / "greet-deployment.yaml"
    file.write_text(BY_HAND)
    built = _built(file)
    assert (built.tags, built.parameters, built.work_queue_name) == (["a", "b"], {"name": "you"}, "q")
    assert built.schedule == CronSchedule(cron="0 9 * * *")
    assert built.infrastructure == Process(env={"B": "2", "A": "1"})
    built.to_yaml(file)
    upper = BY_HAND.partition("###\n### DO NOT EDIT")[0].rstrip("\n")
    assert file.read_text().startswith(upper + "\n")
    assert Deployment.load_from_yaml(file) == built
    again = file.read_text()
    built.to_yaml(file)
    assert file.read_text() == again


def test_what_is_said_anew_changes_and_all_around_it_stays(tmp_path: Path) -> None:
    file = tmp_path / "greet-deployment.yaml"
    file.write_text(BY_HAND)
    built = _built(
        file,
        tags=["c"],
        parameters={"name": "me", "times": 2},
        schedule=None,
        infrastructure=Process(env={"B": "3", "C": "4"}),
        description="Mine.",
    )
    built.to_yaml(file)
    text = file.read_text()
    assert (
        "# whose it is: the data team\nname: nightly   # as in the contract\ndescription: Mine.\nversion: 7\n" in text
    )
    assert "tags:  # two\n- c\n" in text
    assert "    # who is greeted\n    name: me\n    times: 2\n" in text
    assert "schedule: null\n" in text
    assert "infra_overrides:\n  env.LEVEL: debug\n" in text
    assert "  env:\n    B: '3'  # a number\n    C: '4'\n\n  stream_output: true\n" in text
    assert "description: Mine.\n" in text
    assert Deployment.load_from_yaml(file) == built


def test_a_flow_that_says_something_else_is_believed_unless_somebody_edited_the_file(tmp_path: Path) -> None:
    file = tmp_path / "greet-deployment.yaml"
    _built(file).to_yaml(file)

    changed = greet.with_options(version="2", description="Greets better.")
    fields = {"entrypoint": "greet.py:greet"}
    again = Deployment.planned(changed, "nightly", fields, file=file, load_existing=False)
    assert (again.version, again.description) == ("2", "Greets better.")
    file.write_text(file.read_text().replace("description: Greets.", "description: In my words.", 1))
    again = Deployment.planned(changed, "nightly", fields, file=file, load_existing=False)
    assert (again.version, again.description) == ("2", "In my words.")


def test_the_file_of_another_deployment_says_nothing_of_this_one(tmp_path: Path) -> None:
    file = tmp_path / "greet-deployment.yaml"
    file.write_text(BY_HAND)
    other = Deployment.planned(greet, "weekly", {"entrypoint": "greet.py:greet"}, file=file, load_existing=False)
    assert other.tags == []
    other.to_yaml(file)
    assert "data team" not in file.read_text()


def test_a_file_that_cannot_be_read_is_not_written_over(tmp_path: Path) -> None:
    file = tmp_path / "greet-deployment.yaml"
    file.write_text(BY_HAND.replace("tags:", "tgas:"))
    with pytest.raises(ConfigurationError, match=r"greet-deployment\.yaml:9: .*Did you mean 'tags'"):
        _built(file)
    assert "tgas" in file.read_text()
    folder = tmp_path / "folder.yaml"
    folder.mkdir()
    with pytest.raises(ConfigurationError, match="cannot be written: Is a directory"):
        deployment_file.write(folder, "x")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.yaml", "greet-deployment.yaml"]
    with pytest.raises(ConfigurationError, match="cannot be written"):
        _built(tmp_path / "new.yaml").to_yaml(tmp_path / "none" / "new.yaml")


STYLES = [
    ("a: 1\nb: 2\n", {"a": 1, "b": 2}, {"a": 1, "b": 3}, "a: 1\nb: 3\n"),
    ("a: 1 # x\n", {"a": 1}, {"a": [1]}, "a:  # x\n- 1\n"),
    ("a: # x\n- 1\n# y\nb: 1", {"a": [1], "b": 1}, {"a": 2, "b": 1}, "a: 2  # x\n# y\nb: 1"),
    ("a: |\n  long\n  text\n\n# y\nb: 1\n", {"a": "long\ntext\n", "b": 1}, {"a": "x", "b": 1}, "a: x\n\n# y\nb: 1\n"),
    ("a:\nb: 1\n", {"a": None, "b": 1}, {"a": {"x": 1}, "b": 1}, "a:\n  x: 1\nb: 1\n"),
    ("a: 1\nb: 2", {"a": 1, "b": 2}, {"a": 1, "x": 3, "b": 2, "c": 4}, "a: 1\nx: 3\nb: 2\nc: 4\n"),
    ("a: 1\n# of b\nb: 2\nc: 3\n", {"a": 1, "b": 2, "c": 3}, {"a": 1, "c": 3}, "a: 1\n# of b\nc: 3\n"),
    ("a: true\n", {"a": True}, {"a": 1}, "a: 1\n"),
    ("a:\n    x: {y: 1}\n    z: 1 # z\n", {"a": {"x": {"y": 1}, "z": 1}}, {"a": {"x": {"y": 2}, "z": 1}}, "a:\n    x:\n      y: 2\n    z: 1 # z\n"),
    ("{a: 1}\n", {"a": 1}, {"a": 2}, None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "before", "after", "expected"), STYLES)
def test_a_yaml_text_is_changed_only_where_its_meaning_changes(
    text: str, before: dict[str, Any], after: dict[str, Any], expected: str | None
) -> None:
    assert yaml_edits.edit(text, before, before) == (text if expected is not None else None)
    assert yaml_edits.edit(text, before, after) == expected
    if expected is not None:
        assert yaml.safe_load(expected) == yaml_lines.read(expected, "").values == after
