import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest

from penstock.errors import ConfigurationError
from penstock.server import keys


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_the_key_file_is_for_its_owner_only(home: Path) -> None:
    keys.load()
    assert stat.S_IMODE((home / "server.key").stat().st_mode) == 0o600


def test_the_token_of_an_attempt_is_always_the_same_and_no_other_attempts(home: Path) -> None:
    attempt = uuid4()
    token = keys.attempt_token(attempt)
    assert keys.is_attempt_token(attempt, token)
    assert not keys.is_attempt_token(uuid4(), token)
    assert not keys.is_attempt_token(attempt, token[:-1])
    (home / "server.key").unlink()
    assert keys.attempt_token(attempt) != token


def test_everybody_who_comes_first_at_once_gets_the_same_key() -> None:
    attempt = uuid4()
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: keys.attempt_token(attempt), range(32)))) == 1


def test_what_was_sealed_is_read_after_a_rotation_too() -> None:
    attempt = uuid4()
    token, sealed = keys.attempt_token(attempt), keys.seal({"password": "ä"})
    assert "password" not in json.dumps(sealed)
    new = keys.rotate()
    assert keys.unseal(sealed) == {"password": "ä"}
    assert keys.seal(1)["key"] == new != sealed["key"]
    assert keys.attempt_token(attempt) == token


def test_a_lost_key_and_a_damaged_secret_are_told_apart(home: Path) -> None:
    sealed = keys.seal("x")
    with pytest.raises(ConfigurationError) as damaged:
        keys.unseal({"key": sealed["key"], "token": "no"})
    assert damaged.value.code == "damaged_secret"
    (home / "server.key").unlink()
    with pytest.raises(ConfigurationError) as lost:
        keys.unseal(sealed)
    assert lost.value.code == "unknown_key"
    assert lost.value.hint


def test_a_broken_key_file_is_never_replaced(home: Path) -> None:
    home.mkdir()
    (home / "server.key").write_text("{")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        keys.load()
    assert (home / "server.key").read_text() == "{"
