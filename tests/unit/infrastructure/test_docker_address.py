"""Where the engine is: what is written in the environment and in the docker program's configuration."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from penstock.blocks.docker_address import EngineAddress, engine_address
from penstock.errors import ConfigurationError


def at(tmp_path: Path, **environ: str) -> EngineAddress:
    return engine_address(environ, tmp_path)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("unix:///run/user/1000/docker.sock", "unix:///run/user/1000/docker.sock"),
        ("unix://", "unix:///var/run/docker.sock"),
        ("tcp://build.example.com:2375", "tcp://build.example.com:2375"),
        ("tcp://build.example.com", "tcp://build.example.com:2375"),
        ("http://10.0.0.1:4243", "tcp://10.0.0.1:4243"),
        ("10.0.0.1:4243", "tcp://10.0.0.1:4243"),
        ("tcp://[::1]:2375", "tcp://[::1]:2375"),
        ("ssh://ci@build.example.com:2222", "ssh://ci@build.example.com:2222"),
        ("ssh://build/run/other.sock", "ssh://build/run/other.sock"),
    ],
)
def test_every_form_of_an_address_is_understood(tmp_path: Path, host: str, url: str) -> None:
    found = at(tmp_path, DOCKER_HOST=host)
    assert found.url == url
    assert found.source == "DOCKER_HOST"


@pytest.mark.parametrize(
    "host", ["fd://", "npipe:////./pipe/docker_engine", "tcp://", "tcp://host:port", "ssh://me:secret@host"]
)
def test_what_is_no_address_is_refused_where_it_is_written(tmp_path: Path, host: str) -> None:
    with pytest.raises(ConfigurationError, match="DOCKER_HOST") as caught:
        at(tmp_path, DOCKER_HOST=host)
    assert "secret" not in caught.value.message


def test_only_addresses_of_this_machine_count_as_local(tmp_path: Path) -> None:
    local = ["unix:///var/run/docker.sock", "tcp://127.0.0.1:1", "tcp://[::1]:1", "ssh://localhost"]
    assert all(at(tmp_path, DOCKER_HOST=host).on_this_machine for host in local)
    assert not at(tmp_path, DOCKER_HOST="tcp://build.example.com:2375").on_this_machine


def test_tls_is_wanted_as_the_docker_program_wants_it(tmp_path: Path) -> None:
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (tmp_path / name).write_text("")
    found = at(tmp_path, DOCKER_HOST="tcp://h", DOCKER_TLS_VERIFY="1", DOCKER_CERT_PATH=str(tmp_path))
    assert found.url == "tcp://h:2376"
    assert found.tls is not None
    assert (found.tls.ca, found.tls.certificate, found.tls.key, found.tls.verify) == (
        tmp_path / "ca.pem",
        tmp_path / "cert.pem",
        tmp_path / "key.pem",
        True,
    )
    believing = at(tmp_path, DOCKER_HOST="tcp://h", DOCKER_TLS="1", DOCKER_CERT_PATH=str(tmp_path)).tls
    assert believing is not None
    assert not believing.verify
    assert at(tmp_path, DOCKER_HOST="tcp://h", DOCKER_TLS_VERIFY="").tls is None
    assert at(tmp_path, DOCKER_HOST="https://h").tls is not None


@pytest.mark.parametrize("missing", ["ca.pem", "cert.pem", "key.pem"])
def test_a_missing_certificate_is_named(tmp_path: Path, missing: str) -> None:
    for name in {"ca.pem", "cert.pem", "key.pem"} - {missing}:
        (tmp_path / name).write_text("")
    with pytest.raises(ConfigurationError, match=missing):
        at(tmp_path, DOCKER_HOST="tcp://h", DOCKER_TLS_VERIFY="1", DOCKER_CERT_PATH=str(tmp_path))


def write_context(folder: Path, name: str, endpoint: Any) -> None:
    meta = folder / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest()
    meta.mkdir(parents=True)
    (meta / "meta.json").write_text(json.dumps({"Name": name, "Endpoints": {"docker": endpoint}}))


def test_the_host_wins_over_contexts_and_one_context_over_the_other(tmp_path: Path) -> None:
    folder = tmp_path / ".docker"
    write_context(folder, "one", {"Host": "tcp://one:1"})
    write_context(folder, "two", {"Host": "ssh://two"})
    (folder / "config.json").write_text('{"currentContext": "one"}')
    assert at(tmp_path).url == "tcp://one:1"
    assert at(tmp_path, DOCKER_CONTEXT="two").url == "ssh://two"
    assert at(tmp_path, DOCKER_CONTEXT="two", DOCKER_HOST="tcp://three:1").url == "tcp://three:1"
    assert at(tmp_path, DOCKER_CONFIG=str(tmp_path / "nowhere")).source == "the machine's own socket"


def test_a_context_that_is_not_there_is_an_error_with_the_nearest(tmp_path: Path) -> None:
    write_context(tmp_path / ".docker", "production", {"Host": "tcp://one:1"})
    with pytest.raises(ConfigurationError, match="Did you mean 'production'"):
        at(tmp_path, DOCKER_CONTEXT="prodction")


@pytest.mark.parametrize("content", ["{", "[]", '{"Endpoints": {}}', '{"Endpoints": {"docker": []}}'])
def test_a_damaged_context_is_named(tmp_path: Path, content: str) -> None:
    write_context(tmp_path / ".docker", "work", {})
    for meta in tmp_path.rglob("meta.json"):
        meta.write_text(content)
    with pytest.raises(ConfigurationError, match="'work'"):
        at(tmp_path, DOCKER_CONTEXT="work")


def test_a_damaged_configuration_is_named(tmp_path: Path) -> None:
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker" / "config.json").write_text("{")
    with pytest.raises(ConfigurationError, match=r"config\.json"):
        at(tmp_path)
