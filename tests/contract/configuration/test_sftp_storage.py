"""Storage on SFTP, as a real OpenSSH server gives it."""

import importlib.util
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sshd

from penstock.errors import ConfigurationError
from penstock.filesystems import RemoteFileSystem
from penstock.testing import FaultProxy


@pytest.fixture(scope="module")
def server() -> Iterator[sshd.Server]:
    missing = [name for name in ("fsspec", "paramiko") if importlib.util.find_spec(name) is None]
    missing += [] if sshd.find_sshd() else ["sshd (Debian's package openssh-server: tests/services/install)"]
    if missing:
        message = f"not installed: {', '.join(missing)}"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    with sshd.sshd() as running:
        yield running


def sftp(server: sshd.Server, port: int | None = None, **settings: Any) -> RemoteFileSystem:
    given = {"username": server.username, "private_key": server.private_key, "host_key": server.host_key}
    place = f"sftp://127.0.0.1:{port or server.port}{server.files}/{uuid4().hex[:12]}"
    return RemoteFileSystem(
        basepath=place, settings={key: value for key, value in {**given, **settings}.items() if value is not None}
    )


def write_tree(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def tree(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_files_are_written_over_sftp_whole_and_read_again(server: sshd.Server) -> None:
    storage = sftp(server)
    assert storage.write_path("a/b.bin", b"\x00one") == "a/b.bin"
    storage.write_path("a/b.bin", b"two")
    assert storage.read_path("a/b.bin") == b"two"
    large = os.urandom(3 * 1024 * 1024 + 1)
    storage.write_path("ä/large #1 %20.bin", large)
    assert storage.read_path("ä/large #1 %20.bin") == large
    assert not list(server.files.rglob("*.draft"))


def test_a_tree_goes_over_sftp_without_what_is_ignored_and_comes_back(server: sshd.Server, tmp_path: Path) -> None:
    storage = sftp(server)
    names = [f"pkg/deep/{number}.py" for number in range(40)]
    source = write_tree(tmp_path / "source", "flow.py", "data/huge.csv", "__pycache__/flow.pyc", *names)
    (source / ".penstockignore").write_text("data/\n.penstockignore\n")
    assert storage.put_directory(str(source), "code/v1") == 41
    assert storage.put_directory(str(source), "code/v1") == 41  # over what is there
    storage.write_path("code/v10/flow.py", b"another")
    assert storage.get_directory("code/v1", str(tmp_path / "back")) == 41
    assert tree(tmp_path / "back") == {name: name for name in ("flow.py", *names)}


def test_more_threads_than_a_server_allows_channels_take_turns(server: sshd.Server) -> None:
    storage = sftp(server)
    with ThreadPoolExecutor(30) as pool:
        list(pool.map(lambda number: storage.write_path(f"{number % 5}/{number}", b"%d" % number), range(60)))
        assert list(pool.map(lambda number: storage.read_path(f"{number % 5}/{number}"), range(60))) == [
            b"%d" % number for number in range(60)
        ]


def test_links_on_the_server_bring_what_they_lead_to(server: sshd.Server, tmp_path: Path) -> None:
    storage = sftp(server)
    folder = Path(storage.basepath.partition(str(server.port))[2])
    write_tree(folder, "shared/a.py", "code/flow.py")
    (folder / "code" / "lib").symlink_to(folder / "shared")
    (folder / "code" / "b.py").symlink_to(folder / "shared" / "a.py")
    assert storage.get_directory("code", str(tmp_path / "back")) == 3
    assert tree(tmp_path / "back") == {"flow.py": "code/flow.py", "lib/a.py": "shared/a.py", "b.py": "shared/a.py"}


def test_nothing_at_a_path_of_the_server_is_told(server: sshd.Server, tmp_path: Path) -> None:
    storage = sftp(server)
    storage.write_path("there", b"")
    with pytest.raises(FileNotFoundError, match="no-such"):
        storage.read_path("no-such")
    with pytest.raises(FileNotFoundError, match="no-such"):
        storage.get_directory("no-such", str(tmp_path / "got"))


def test_a_check_of_sftp_says_whether_the_folder_is_there(server: sshd.Server) -> None:
    storage = sftp(server)
    assert "is not there yet" in storage.check()[-1].said
    storage.write_path("there", b"")
    assert [(finding.ok, finding.said) for finding in storage.check()][-1] == (True, "can be read")
    assert not sftp(server, port=1).check()[-1].ok


def test_a_key_that_the_server_does_not_know_is_told_without_it(server: sshd.Server) -> None:
    wrong = sftp(server, private_key=server.make_key(f"wrong-{uuid4().hex[:6]}").read_text())
    with pytest.raises(PermissionError, match="does not take this name and key") as caught:
        wrong.read_path("x")
    secret = wrong.settings.get_secret_value()["private_key"].splitlines()[1]
    assert secret not in repr(caught.value) + wrong.check()[-1].said
    with pytest.raises(ConfigurationError, match="private_key in settings cannot be used"):
        sftp(server, private_key="no key").read_path("x")


def test_a_key_with_a_passphrase_needs_it(server: sshd.Server) -> None:
    key = server.make_key(f"locked-{uuid4().hex[:6]}", "open sesame")
    with (server.folder / "authorized_keys").open("a") as file:
        file.write(key.with_suffix(".pub").read_text())
    with pytest.raises(ConfigurationError, match="give its passphrase"):
        sftp(server, private_key=key.read_text()).read_path("x")
    storage = sftp(server, private_key=key.read_text(), passphrase="open sesame")
    storage.write_path("x", b"1")
    assert storage.read_path("x") == b"1"


def test_a_key_in_a_file_of_the_machine_will_do(server: sshd.Server) -> None:
    storage = sftp(server, private_key=None, key_filename=str(server.key_file), look_for_keys=False, allow_agent=False)
    storage.write_path("x", b"1")
    assert storage.read_path("x") == b"1"


def test_a_server_with_another_host_key_is_refused_and_its_key_is_told(server: sshd.Server) -> None:
    other = server.make_key(f"other-{uuid4().hex[:6]}").with_suffix(".pub").read_text()
    with pytest.raises(PermissionError, match="shows another key") as caught:
        sftp(server, host_key=other).read_path("x")
    assert server.host_key in str(caught.value)


def test_a_server_whose_key_nobody_knows_is_let_pass_with_a_warning(
    server: sshd.Server, caplog: pytest.LogCaptureFixture
) -> None:
    storage = sftp(server, host_key=None)
    storage.write_path("x", b"1")
    assert f"Set host_key in settings to: {server.host_key}" in caplog.text


def test_a_connection_that_was_lost_is_opened_again(server: sshd.Server) -> None:
    storage = sftp(server)
    storage.write_path("kept", b"1")
    server.stop()
    server.start()
    assert storage.read_path("kept") == b"1"


def test_a_connection_that_breaks_in_the_middle_of_a_tree_costs_no_file(
    server: sshd.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from penstock.storage.sftp import SftpServer

    content = {f"{number}.bin": os.urandom(100_000) for number in range(30)}
    (tmp_path / "source").mkdir()
    for name, data in content.items():
        (tmp_path / "source" / name).write_bytes(data)
    with FaultProxy(f"tcp://127.0.0.1:{server.port}", http=False) as proxy:
        storage = sftp(server, port=int(proxy.url.rpartition(":")[2]))
        storage.put_directory(str(tmp_path / "source"))
        get_file, broken = SftpServer.get_file, threading.Event()

        def break_once(self: SftpServer, rpath: str, lpath: str, **kwargs: Any) -> None:
            if rpath.endswith("/15.bin") and not broken.is_set():
                broken.set()
                proxy.drop_connections()
            get_file(self, rpath, lpath, **kwargs)

        monkeypatch.setattr(SftpServer, "get_file", break_once)
        assert storage.get_directory(None, str(tmp_path / "back")) == 30
    assert broken.is_set()
    back = {path.name: path.read_bytes() for path in (tmp_path / "back").iterdir()}
    # not the bytes themselves: pytest would compare these for many minutes
    assert {name: len(back.get(name, b"")) for name in content if back.get(name) != content[name]} == {}
    assert back.keys() == content.keys()


def test_a_server_where_nobody_answers_is_told_after_a_few_tries(server: sshd.Server) -> None:
    with pytest.raises(OSError, match=r"nobody answers at 127\.0\.0\.1, port 1"):
        sftp(server, port=1).read_path("x")
