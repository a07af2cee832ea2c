"""Which login a pull is made with, and what becomes of one that cannot be had."""

import base64
import json
import os
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import SecretStr

from penstock.errors import ConfigurationError
from penstock.infrastructure.docker.logins import Login, login_for, registry_named

BASIC = base64.b64encode(b"alice:the-secret").decode()


def configured(tmp_path: Path, image: str, config: Any, **environ: str) -> Login:
    """The login for `image` with that configuration; helpers are looked for in `tmp_path`."""
    (tmp_path / "config.json").write_text(json.dumps(config))
    return login_for(image, None, {"DOCKER_CONFIG": str(tmp_path), "PATH": f"{tmp_path}:/bin:/usr/bin", **environ})


def make_helper(tmp_path: Path, script: str, name: str = "test") -> None:
    path = tmp_path / f"docker-credential-{name}"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def shown(login: Login) -> dict[str, str]:
    """What the engine is sent."""
    found: dict[str, str] = json.loads(base64.urlsafe_b64decode(login.header))
    return found


@pytest.mark.parametrize(
    ("address", "registry"),
    [
        ("https://index.docker.io/v1/", "docker.io"),
        ("index.docker.io", "docker.io"),
        ("docker.io", "docker.io"),
        ("https://registry-1.docker.io", "docker.io"),
        ("registry.example.com:5000", "registry.example.com:5000"),
        ("https://Registry.Example.com/team", "registry.example.com"),
        ("http://127.0.0.1:5000/v2/", "127.0.0.1:5000"),
        ("[::1]:5000", "[::1]:5000"),
    ],
)
def test_addresses_of_logins_mean_registries(address: str, registry: str) -> None:
    assert registry_named(address) == registry


@pytest.mark.parametrize(
    ("image", "address"),
    [
        ("registry.example.com:5000/team/flows:1", "https://registry.example.com:5000"),
        ("busybox", "https://index.docker.io/v1/"),
        ("team/flows:1", "docker.io"),
    ],
)
def test_a_blocks_login_goes_to_its_registry(image: str, address: str) -> None:
    login = login_for(image, {"registry": address, "username": "alice", "password": SecretStr("the-secret")}, {})
    assert shown(login)["username"] == "alice"
    assert shown(login)["password"] == "the-secret"
    assert "the-secret" not in f"{login} {login!r}"


def test_a_blocks_login_is_never_shown_to_another_registry() -> None:
    given = {"registry": "registry.example.com", "username": "alice", "password": "the-secret"}
    with pytest.raises(ConfigurationError, match=r"docker\.io.*registry\.example\.com") as caught:
        login_for("team/flows:1", given, {})
    assert caught.value.hint


def test_without_any_configuration_nobody_is_logged_in(tmp_path: Path) -> None:
    login = login_for("busybox", None, {}, tmp_path)
    assert login.anonymous
    assert shown(login) == {}
    assert str(login) == "without a login"


@pytest.mark.parametrize(
    "entry",
    [{"auth": BASIC}, {"username": "alice", "password": "the-secret"}],
)
def test_written_logins_are_read(tmp_path: Path, entry: dict[str, str]) -> None:
    login = configured(tmp_path, "r.example.com:5000/x:1", {"auths": {"https://r.example.com:5000": entry}})
    assert (shown(login)["username"], shown(login)["password"]) == ("alice", "the-secret")


def test_written_logins_of_the_default_registry_have_its_old_name(tmp_path: Path) -> None:
    login = configured(tmp_path, "team/flows:1", {"auths": {"https://index.docker.io/v1/": {"auth": BASIC}}})
    assert shown(login)["serveraddress"] == "https://index.docker.io/v1/"
    assert login.username == "alice"


def test_a_port_makes_another_registry(tmp_path: Path) -> None:
    assert configured(tmp_path, "r.example.com:5000/x:1", {"auths": {"r.example.com:5001": {"auth": BASIC}}}).anonymous


def test_tokens_are_shown_instead_of_passwords(tmp_path: Path) -> None:
    entry = {"auth": base64.b64encode(b"00000000:").decode(), "identitytoken": "the-token"}
    login = configured(tmp_path, "r.example.com/x:1", {"auths": {"r.example.com": entry}})
    assert shown(login) == {"identitytoken": "the-token", "serveraddress": "r.example.com"}


def test_a_login_that_cannot_be_decoded_is_trouble(tmp_path: Path) -> None:
    login = configured(tmp_path, "r.example.com/x:1", {"auths": {"r.example.com": {"auth": "&&&"}}})
    assert login.anonymous
    assert "r.example.com" in login.trouble


def test_a_damaged_configuration_is_trouble(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    assert "config.json" in login_for("busybox", None, {"DOCKER_CONFIG": str(tmp_path)}).trouble


class TestHelpers:
    config: ClassVar[dict[str, Any]] = {"credHelpers": {"r.example.com": "test"}}

    @pytest.fixture(autouse=True)
    def _unhurried(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("penstock.infrastructure.docker.logins.HELPER_SECONDS", 240.0)

    def test_the_one_of_the_registry_is_asked_by_its_name(self, tmp_path: Path) -> None:
        make_helper(tmp_path, """read asked; echo '{"Username": "bob", "Secret": "'$1-$asked'"}'""")
        login = configured(tmp_path, "r.example.com/x:1", self.config)
        assert (shown(login)["username"], shown(login)["password"]) == ("bob", "get-r.example.com")
        assert configured(tmp_path, "other.example.com/x:1", self.config).anonymous

    def test_the_store_for_all_is_asked_for_the_rest(self, tmp_path: Path) -> None:
        make_helper(tmp_path, """read asked; echo '{"Username": "bob", "Secret": "'$asked'"}'""")
        login = configured(
            tmp_path, "team/flows:1", {"credsStore": "test", "auths": {"https://index.docker.io/v1/": {}}}
        )
        assert shown(login)["password"] == "https://index.docker.io/v1/"

    def test_a_secret_may_be_a_token(self, tmp_path: Path) -> None:
        make_helper(tmp_path, """echo '{"Username": "<token>", "Secret": "the-token"}'""")
        login = configured(tmp_path, "r.example.com/x:1", self.config)
        assert shown(login) == {"identitytoken": "the-token", "serveraddress": "r.example.com"}
        assert login.secrets == ["the-token"]

    def test_one_that_keeps_nothing_is_no_trouble(self, tmp_path: Path) -> None:
        make_helper(tmp_path, "echo credentials not found in native keychain; exit 1")
        login = configured(tmp_path, "r.example.com/x:1", self.config)
        assert login.anonymous
        assert not login.trouble

    def test_one_that_is_missing_is_trouble_that_stays(self, tmp_path: Path) -> None:
        login = configured(tmp_path, "r.example.com/x:1", self.config)
        assert "docker-credential-test" in login.trouble
        assert not login.passing

    def test_one_that_fails_is_trouble_that_may_pass(self, tmp_path: Path) -> None:
        make_helper(tmp_path, "echo the vault is sealed >&2; exit 2")
        login = configured(tmp_path, "r.example.com/x:1", self.config)
        assert "the vault is sealed" in login.trouble
        assert login.passing

    def test_one_that_answers_nonsense_is_trouble(self, tmp_path: Path) -> None:
        make_helper(tmp_path, "echo hello")
        assert "no login" in configured(tmp_path, "r.example.com/x:1", self.config).trouble

    def test_one_that_hangs_is_given_up(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("penstock.infrastructure.docker.logins.HELPER_SECONDS", 0.2)
        make_helper(tmp_path, "exec sleep 60")
        login = configured(tmp_path, "r.example.com/x:1", self.config)
        assert "in time" in login.trouble
        assert login.passing


def test_nothing_is_written(tmp_path: Path) -> None:
    make_helper(tmp_path, """echo '{"Username": "bob", "Secret": "x"}'""")
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.iterdir()}
    configured(tmp_path, "r.example.com/x:1", {"credsStore": "test"})
    (tmp_path / "config.json").unlink()
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.iterdir()} == before
    assert os.listdir(tmp_path) == ["docker-credential-test"]
