"""Archives between client and server, over a network that breaks them off."""

import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.client.sync import SyncClient
from penstock.errors import APIError, Invalid, Unreachable
from penstock.storage import bundle_cache
from penstock.storage.bundle import Bundle, pack_project, send
from penstock.testing import Fault, FaultProxy, TestServer, server


@pytest.fixture(scope="module")
def running() -> Iterator[TestServer]:
    with server() as found:
        yield found


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose files no other test has."""
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PENSTOCK_CLIENT_RETRY_SECONDS", "0.05")
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "noise").write_bytes(os.urandom(3_000_000))
    return tmp_path / "project"


@pytest.fixture
def proxy(running: TestServer) -> Iterator[FaultProxy]:
    with FaultProxy(running.api_url) as standing:
        yield standing


def fetched(bundle: Bundle, url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """The project's file as a machine gets it that has nothing yet."""
    monkeypatch.setenv("PENSTOCK_HOME", str(folder / "another home"))
    monkeypatch.setenv("PENSTOCK_API_URL", url)
    bundle.get_directory(None, str(folder / "fetched"))
    return (folder / "fetched" / "noise").read_bytes()


def test_an_upload_that_breaks_off_is_sent_again_and_arrives_once(
    proxy: FaultProxy, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = pack_project(project).bundle
    faults = [
        Fault("cut", "POST", ".*/bundles/[?]", times=1),
        Fault("status", "POST", ".*/bundles/[?]", status=503, times=1),
        Fault("drop_answer", "POST", ".*/bundles/[?]", times=1),
    ]
    for fault in faults:
        proxy.add(fault)
    with SyncClient(proxy.url) as client:
        assert send(client, bundle, project) is True
        assert [fault.struck for fault in faults] == [1, 1, 1]
        assert send(client, bundle, project) is False
        assert len(client.read_bundles(digest_prefix=bundle.digest)) == 1
    assert fetched(bundle, proxy.url, project.parent, monkeypatch) == (project / "noise").read_bytes()


def test_a_server_that_cannot_be_reached_is_an_error_for_who_is_no_job(
    proxy: FaultProxy, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = pack_project(project).bundle
    with SyncClient(proxy.url) as client:
        send(client, bundle, project)
    proxy.add(Fault("cut", path=".*/bundles/"))
    monkeypatch.setenv("PENSTOCK_CLIENT_MAX_RETRIES", "2")
    with pytest.raises(Unreachable):
        fetched(bundle, proxy.url, project.parent, monkeypatch)
    assert not list(bundle_cache.folder().glob("*.tar"))
    proxy.clear()
    assert len(fetched(bundle, proxy.url, project.parent, monkeypatch)) == 3_000_000


def test_what_the_server_does_not_take_is_told_in_its_words(running: TestServer, project: Path) -> None:
    bundle = pack_project(project).bundle
    with running.client() as client:
        lying = bundle.model_copy(update={"size": 0, "files": 0})
        with pytest.raises(Invalid, match="bytes") as refused:
            send(client, lying, project)
        assert refused.value.code == "bundle_too_large"
        assert client.read_bundles(digest_prefix=bundle.digest) == []


def test_a_bundle_that_is_on_no_server_and_not_here_says_how_to_get_it(
    running: TestServer, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = pack_project(project).bundle
    with pytest.raises(APIError, match="no bundle sha256:") as refused:
        fetched(bundle, running.api_url, project.parent, monkeypatch)
    assert "build and apply" in str(refused.value.hint)


def test_archives_pass_through_in_little_memory(
    running: TestServer, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (project / "large").open("wb") as file:
        for _ in range(20):
            file.write(os.urandom(1_000_000))
    bundle = pack_project(project).bundle
    with running.client() as client:
        tracemalloc.start()
        try:
            send(client, bundle, project)
            fetched(bundle, running.api_url, project.parent, monkeypatch)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 12_000_000
