"""Where the server's keys come from."""

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest
from cryptography.fernet import Fernet

from penstock.errors import ConfigurationError, Refused
from penstock.server import keys


def _key() -> str:
    return Fernet.generate_key().decode()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_keys_of_a_setting_seal_and_make_tokens_without_a_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new, attempt = _key(), _key(), uuid4()
    monkeypatch.setenv("PENSTOCK_SERVER_KEYS", old)
    sealed, token = keys.seal("x"), keys.attempt_token(attempt)
    monkeypatch.setenv("PENSTOCK_SERVER_KEYS", f"{new}, {old}")
    assert keys.unseal(sealed) == "x"
    assert keys.seal("x")["key"] != sealed["key"]
    assert keys.is_attempt_token(attempt, token), "what runs while keys are changed goes on"
    assert keys.is_attempt_token(attempt, keys.attempt_token(attempt))
    monkeypatch.setenv("PENSTOCK_SERVER_KEYS", new)
    assert not keys.is_attempt_token(attempt, token)
    assert not home.exists()


def test_keys_of_a_setting_are_never_changed_by_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_SERVER_KEYS", _key())
    with pytest.raises(Refused, match="PENSTOCK_SERVER_KEYS"):
        keys.rotate()


@pytest.mark.parametrize("form", ["document", "lines", "commas"])
def test_a_command_is_run_once_and_may_answer_in_three_forms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    first, second = _key(), _key()
    answer = {
        "document": json.dumps({"attempts": _key(), "ring": [first, second]}),
        "lines": f"{first}\n{second}\n",
        "commas": f"{first},{second}",
    }[form]
    (tmp_path / "answer").write_text(answer)
    program = (
        f"print('x', file=open({str(tmp_path / 'runs')!r}, 'a')); print(open({str(tmp_path / 'answer')!r}).read())"
    )
    monkeypatch.setenv("PENSTOCK_SERVER_KEY_COMMAND", f'{sys.executable} -c "{program}"')
    assert [key.decode() for _, key in keys.load().ring] == [first, second]
    keys.seal("x")
    assert (tmp_path / "runs").read_text() == "x\n"


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("sh -c 'echo locked >&2; exit 4'", "ended with 4: locked"),
        ("/nowhere/at-all", "cannot be run"),
        ("echo PLANTED", "key 1 is no Fernet key"),
        ("echo {", "answered no key document: no JSON"),
        ("echo '{\"ring\": []}'", "there is no key in it"),
        ("true", "names no key"),
    ],
)
def test_a_command_that_gives_no_keys_is_told_without_its_answer(
    monkeypatch: pytest.MonkeyPatch, command: str, message: str
) -> None:
    monkeypatch.setenv("PENSTOCK_SERVER_KEY_COMMAND", command)
    with pytest.raises(ConfigurationError) as caught:
        keys.load()
    assert message in caught.value.message
    assert "PENSTOCK_SERVER_KEY_COMMAND" in caught.value.message
    assert "PLANTED" not in f"{caught.value.message} {caught.value.hint}"


def test_keys_that_are_added_at_once_are_all_kept() -> None:
    sealed = [keys.seal(0)]
    with ThreadPoolExecutor(8) as pool:
        added = list(pool.map(lambda _: keys.rotate(), range(12)))
    sealed.append(keys.seal(1))
    ring = {key_id for key_id, _ in keys.load().ring}
    assert len(ring) == 13
    assert ring > set(added) - {keys.front()}
    assert [keys.unseal(one) for one in sealed] == [0, 1]


def test_the_newest_key_is_never_dropped(home: Path) -> None:
    sealed = keys.seal("old")
    keys.rotate()
    keys.drop(frozenset(key_id for key_id, _ in keys.load().ring))
    assert [key_id for key_id, _ in keys.load().ring] == [keys.front()]
    assert os.stat(home / "server.key").st_mode & 0o777 == 0o600
    with pytest.raises(ConfigurationError) as caught:
        keys.unseal(sealed)
    assert caught.value.code == "unknown_key"
