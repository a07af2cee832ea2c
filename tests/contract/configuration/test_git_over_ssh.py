"""Git repositories over SSH, as a real OpenSSH server gives them."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydantic
import pytest
import sshd
from git_server import add_submodule, git, make_repository

from penstock.errors import ConfigurationError
from penstock.filesystems import GitRepository
from penstock.testing import FaultProxy


@pytest.fixture(scope="module")
def server() -> Iterator[sshd.Server]:
    missing = [name for name, found in (("git", shutil.which("git")), ("sshd", sshd.find_sshd())) if not found]
    if missing:
        message = f"not installed: {', '.join(missing)} (tests/services/install)"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    with sshd.sshd() as running:
        yield running


@pytest.fixture
def origin(server: sshd.Server, tmp_path: Path) -> Path:
    return make_repository(server.files / tmp_path.name, {"flows/etl.py": "first", "readme": "r"})


def block(server: sshd.Server, origin: Path, port: int | None = None, **fields: Any) -> GitRepository:
    port = port or server.port
    given = {
        "repository": f"ssh://{server.username}@127.0.0.1:{port}{origin}",
        "ssh_private_key": server.private_key,
        "known_hosts": f"[127.0.0.1]:{port} {server.host_key}",
    }
    return GitRepository(**{name: value for name, value in {**given, **fields}.items() if value is not None})


def test_a_key_opens_a_repository_and_is_gone_afterwards(
    server: sshd.Server, origin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own-temp"
    own.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(own))
    git(origin, "tag", "v1")
    for text in ("first", "second"):  # again into the folder where it is
        assert block(server, origin).get_directory(local_path=str(tmp_path / "a")) == 2
        assert (tmp_path / "a" / "flows" / "etl.py").read_text() == text
        (origin / "flows" / "etl.py").write_text("second")
        if text == "first":
            git(origin, "commit", "-qam", "second")
    block(server, origin, reference="v1").get_directory("flows", str(tmp_path / "b"))
    assert (tmp_path / "b" / "etl.py").read_text() == "first"
    assert list(own.iterdir()) == []


def test_private_submodules_come_with_the_same_key(server: sshd.Server, origin: Path, tmp_path: Path) -> None:
    library = make_repository(server.files / f"{tmp_path.name}-library", {"lib.py": "lib"})
    add_submodule(origin, "lib", f"ssh://{server.username}@127.0.0.1:{server.port}{library}", library)
    block(server, origin).get_directory(local_path=str(tmp_path / "a"))
    assert (tmp_path / "a" / "lib" / "lib.py").read_text() == "lib"


def test_a_wrong_key_an_unknown_host_and_another_hosts_key_are_told_apart(
    server: sshd.Server, origin: Path, tmp_path: Path
) -> None:
    wrong = server.make_key(f"wrong-{tmp_path.name}")
    other = server.make_key(f"other-{tmp_path.name}").with_suffix(".pub").read_text()
    cases = [
        ({"ssh_private_key": wrong.read_text()}, "Permission denied", "ssh_private_key"),
        ({"ssh_private_key": "no key"}, "Load key|Permission denied", "ssh_private_key"),
        ({"known_hosts": "elsewhere.example.com ssh-ed25519 AAAA"}, "Host key verification failed", "known_hosts"),
        ({"known_hosts": f"[127.0.0.1]:{server.port} {other}"}, "Host key verification failed", "known_hosts"),
    ]
    for fields, words, field in cases:
        with pytest.raises(ConfigurationError, match=words) as caught:
            block(server, origin, **fields).get_directory(local_path=str(tmp_path / "a"))
        assert field in str(caught.value.hint)
        assert not (tmp_path / "a").exists()
        key_lines = [line for line in wrong.read_text().splitlines() if not line.startswith("--")]
        assert not any(line in f"{caught.value}{caught.value.hint}" for line in key_lines)


def test_a_connection_that_is_cut_is_tried_again(server: sshd.Server, origin: Path, tmp_path: Path) -> None:
    with FaultProxy(f"tcp://127.0.0.1:{server.port}", http=False) as proxy:
        from penstock.testing import Fault

        port = int(proxy.url.rpartition(":")[2])
        cut = proxy.add(Fault("drop_answer", times=1))
        block(server, origin, port=port).get_directory(local_path=str(tmp_path / "a"))
        assert cut.struck == 1
    assert (tmp_path / "a" / "flows" / "etl.py").read_text() == "first"


def test_keys_are_for_addresses_of_ssh_only() -> None:
    with pytest.raises(pydantic.ValidationError, match="ssh_private_key is for addresses") as caught:
        GitRepository(repository="https://git.example.com/team/flows.git", ssh_private_key="hunter2")
    assert "hunter2" not in str(caught.value)
