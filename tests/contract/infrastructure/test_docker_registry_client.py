"""The client that a DockerRegistry block gives out speaks to the engine on which containers would run."""

import hashlib
import json
from pathlib import Path

import docker_engine
import pytest

from penstock.blocks.credentials.docker_registry import DockerRegistry
from penstock.errors import ConfigurationError

BLOCK = DockerRegistry(username="alice", password="alices-secret", registry_url="127.0.0.1:1")


@pytest.fixture(autouse=True)
def _nothing_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))


def test_it_takes_the_engine_of_a_context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = docker_engine.engine()
    folder = tmp_path / "contexts" / "meta" / hashlib.sha256(b"mine").hexdigest()
    folder.mkdir(parents=True)
    (folder / "meta.json").write_text(json.dumps({"Name": "mine", "Endpoints": {"docker": {"Host": engine.address}}}))
    monkeypatch.setenv("DOCKER_CONTEXT", "mine")
    found = BLOCK.get_docker_client()
    try:
        with engine.client() as direct:
            assert found.info()["ID"] == direct.info()["ID"]
    finally:
        found.close()


def test_a_context_that_is_not_there_is_an_error_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONTEXT", "nobodys")
    with pytest.raises(ConfigurationError, match="nobodys"):
        BLOCK.get_docker_client()


def test_an_engine_that_is_not_there_is_named_with_where_its_address_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    with pytest.raises(ConfigurationError, match=r"127\.0\.0\.1:1") as caught:
        BLOCK.get_docker_client()
    assert "DOCKER_HOST" in str(caught.value.hint)
