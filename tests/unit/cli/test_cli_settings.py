"""Profiles and settings: what is written is read again, nothing wrong is written, secrets are masked."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from cli_said import Said

Cli = Callable[..., Said]


def _file(tmp_path: Path) -> Path:
    return tmp_path / "home" / "profiles.toml"


def test_a_setting_that_was_set_is_in_force_and_can_be_removed(penstock: Cli) -> None:
    assert penstock("config", "set", "PENSTOCK_LOGGING_LEVEL=DEBUG", "PENSTOCK_API_KEY=hidden").code == 0
    rows = {row["name"]: row for row in json.loads(penstock("config", "view", "-o", "json").out)}
    assert rows["PENSTOCK_LOGGING_LEVEL"]["value"] == "DEBUG"
    assert rows["PENSTOCK_LOGGING_LEVEL"]["source"] == "profile"
    assert penstock("config", "unset", "PENSTOCK_LOGGING_LEVEL").code == 0
    assert "PENSTOCK_LOGGING_LEVEL" not in penstock("config", "view").out
    assert "PENSTOCK_LOGGING_LEVEL" in penstock("config", "view", "--show-defaults").out


def test_secrets_are_masked_unless_asked_for(penstock: Cli) -> None:
    penstock("config", "set", "PENSTOCK_API_KEY=hidden")
    for words in (
        ("config", "view"),
        ("profile", "ls", "-o", "json"),
        ("profile", "inspect"),
        ("config", "view", "-oyaml"),
    ):
        assert "hidden" not in penstock(*words).out
    assert "hidden" in penstock("config", "view", "--show-secrets").out


def test_the_file_is_for_its_owner_only(penstock: Cli, tmp_path: Path) -> None:
    penstock("config", "set", "PENSTOCK_API_KEY=hidden")
    assert _file(tmp_path).stat().st_mode & 0o777 == 0o600


def test_one_wrong_setting_keeps_all_from_being_written(penstock: Cli, tmp_path: Path) -> None:
    said = penstock("config", "set", "PENSTOCK_LOGGING_LEVEL=DEBUG", "PENSTOCK_LOGGING_LEVL=INFO")
    assert said.code == 2
    assert "Did you mean 'PENSTOCK_LOGGING_LEVEL'" in said.err
    assert not _file(tmp_path).exists()


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("PENSTOCK_LOGGING_LEVEL=LOUD", "There is no logging level 'LOUD'"),
        ("PENSTOCK_API_URL=localhost:4200", "it has to look like http://127.0.0.1:4200/api"),
        ("PENSTOCK_API_URL=http://127.0.0.1:high/api", "cannot be used"),
    ],
)
def test_a_value_that_nobody_could_use_is_not_written_and_found_where_it_is(
    assignment: str, said: str, penstock: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = penstock("config", "set", assignment)
    assert refused.code == 2
    assert said in refused.err
    assert not _file(tmp_path).exists()
    monkeypatch.setenv(*assignment.split("=", 1))
    (found,) = json.loads(penstock("config", "validate", "-o", "json").out)
    assert found["name"] == assignment.partition("=")[0]
    assert said in found["problem"]


def test_an_address_without_the_path_of_an_api_is_written_with_a_warning(penstock: Cli) -> None:
    said = penstock("config", "set", "PENSTOCK_API_URL=http://127.0.0.1:4200/")
    assert said.code == 0
    assert "usually ends in /api: http://127.0.0.1:4200/api" in said.err
    assert "warning" not in penstock("config", "set", "PENSTOCK_API_URL=http://127.0.0.1:4200/api").err


def test_validate_finds_typing_errors_in_environment_and_profile(
    penstock: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert penstock("config", "validate").code == 0
    monkeypatch.setenv("PENSTOCK_API_ULR", "http://x")
    _file(tmp_path).parent.mkdir()
    _file(tmp_path).write_text(
        '[profiles.default]\nPENSTOCK_SERVER_API_PORT = "many"\nPENSTOCK_LOGGING_LEVL = "INFO"\n'
    )
    said = penstock("config", "validate", "-o", "json")
    assert said.code == 7
    found = {row["name"]: row["problem"] for row in json.loads(said.out)}
    assert "PENSTOCK_API_URL" in found["PENSTOCK_API_ULR"]
    assert "PENSTOCK_LOGGING_LEVEL" in found["PENSTOCK_LOGGING_LEVL"]
    assert "many" in found["PENSTOCK_SERVER_API_PORT"]
    assert json.loads(said.err)["code"] == "check_failed"


def test_the_life_of_a_profile(penstock: Cli) -> None:
    assert penstock("profile", "create", "prod").code == 0
    assert penstock("profile", "use", "prod").code == 0
    penstock("config", "set", "PENSTOCK_API_URL=http://prod/api")
    assert penstock("profile", "create", "copy", "--from", "prod").code == 0
    assert penstock("profile", "rename", "prod", "production").code == 0
    rows = {row["name"]: row for row in yaml.safe_load(penstock("profile", "ls", "-o", "yaml").out)}
    assert set(rows) == {"default", "production", "copy"}
    assert rows["production"]["active"] is True
    assert rows["copy"]["settings"] == {"PENSTOCK_API_URL": "http://prod/api"}
    assert penstock("-p", "default", "config", "view").out.count("http://prod") == 0
    assert penstock("profile", "delete", "copy").code == 0
    assert penstock("profile", "ls", "-o", "name").out == "default\nproduction\n"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("profile", "create", "default"), 6, "exists already"),
        (("profile", "use", "defualt"), 3, "Did you mean 'default'"),
        (("profile", "delete", "default"), 6, "active"),
        (("profile", "rename", "nothing", "x"), 3, "no profile 'nothing'"),
        (("profile", "inspect", "nothing"), 3, "no profile 'nothing'"),
        (("profile", "create", "x", "--from", "nothing"), 3, "no profile 'nothing'"),
        (("-p", "nothing", "config", "view"), 2, "PENSTOCK_PROFILE"),
    ],
)
def test_what_is_wrong_with_a_profile_is_said(penstock: Cli, words: tuple[str, ...], code: int, said: str) -> None:
    found = penstock(*words)
    assert found.code == code
    assert said in found.err
    assert found.out == ""


@pytest.mark.parametrize("form", ["table", "wide", "json", "jsonl", "yaml", "name"])
@pytest.mark.parametrize(
    "words",
    [("version",), ("config", "view"), ("config", "validate"), ("profile", "ls"), ("profile", "inspect"), ("doctor",)],
    ids=" ".join,
)
def test_what_needs_no_server_prints_in_every_form(penstock: Cli, words: tuple[str, ...], form: str) -> None:
    said = penstock(*words, "-o", form)
    assert said.code == 0, said
    if form == "json":
        json.loads(said.out)
    if form == "jsonl":
        for line in said.out.splitlines():
            json.loads(line)
    if form == "yaml":
        yaml.safe_load(said.out)


def test_what_is_done_is_said_on_stderr_and_the_object_given_when_asked(penstock: Cli) -> None:
    plain = penstock("profile", "create", "a")
    assert plain.out == ""
    assert "Created" in plain.err
    assert penstock("-q", "profile", "create", "b") == Said(0, "", "")
    assert json.loads(penstock("profile", "create", "c", "-o", "json").out)["name"] == "c"
    assert penstock("profile", "create", "d", "-o", "name").out == "d\n"


def test_colours_only_when_asked_for_or_on_a_terminal(penstock: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b" not in penstock("profile", "use", "x").err
    assert "\x1b" in penstock("--color", "always", "profile", "use", "x").err
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b" in penstock("profile", "use", "x").err
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in penstock("profile", "use", "x").err


def test_an_unreachable_server_has_its_exit_code(penstock: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_API_URL", "http://127.0.0.1:9/api")
    monkeypatch.setenv("PENSTOCK_CLIENT_MAX_RETRIES", "0")
    said = penstock("flow-run", "ls", "-o", "json")
    assert said.code == 5
    assert said.out == ""
    assert json.loads(said.err)["code"]
    assert "127.0.0.1:9" in json.loads(said.err)["message"]
    assert penstock("doctor").code == 7
