"""Storage in an SMB share, as a real Samba server gives it."""

import importlib.util
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import pydantic
import pytest
import samba

from penstock.errors import ConfigurationError
from penstock.filesystems import SMB, RemoteFileSystem
from penstock.testing import wait_until

PASSWORD = "Sesam-öffne-dich-4711"


@pytest.fixture(scope="module")
def server() -> Iterator[samba.Server]:
    missing = [name for name in ("fsspec", "smbprotocol") if importlib.util.find_spec(name) is None]
    missing += [] if samba.find_smbd() else ["smbd (Debian's package samba: tests/services/install)"]
    if missing:
        message = f"not installed: {', '.join(missing)}"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    with samba.samba(PASSWORD) as running:
        yield running


def smb(server: samba.Server, **fields: Any) -> SMB:
    given = {
        "share_path": "/flows",
        "smb_host": "127.0.0.1",
        "smb_port": server.port,
        "smb_username": server.username,
        "smb_password": PASSWORD,
    }
    return SMB(**{**given, **fields})


@pytest.fixture(params=["smb", "remote-file-system"])
def storage(request: pytest.FixtureRequest, server: samba.Server) -> Any:
    folder = uuid4().hex[:12]
    if request.param == "smb":
        return smb(server, share_path=f"/flows/{folder}")
    return RemoteFileSystem(
        basepath=f"smb://127.0.0.1:{server.port}/flows/{folder}",
        settings={
            "username": server.username,
            "password": PASSWORD,
        },
    )


def test_what_is_written_in_a_share_is_read_again_and_written_over(storage: Any, server: samba.Server) -> None:
    assert storage.write_path("a/b.bin", b"\x00one") == "a/b.bin"
    storage.write_path("a/b.bin", b"two")
    assert storage.read_path("a/b.bin") == b"two"
    large = os.urandom(3 * 1024 * 1024 + 1)
    storage.write_path("ä/large #1 %20.bin", large)
    assert storage.read_path("ä/large #1 %20.bin") == large
    assert not list((server.folder / "flows").rglob("*.draft"))


def test_a_tree_goes_to_a_share_without_what_is_ignored_and_comes_back(storage: Any, tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name in ("flow.py", "pkg/a.py", "pkg/deep/b.txt", "data/huge.csv", "__pycache__/flow.pyc"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(name)
    ignore = tmp_path / "ignore"
    ignore.write_text("data/\n")
    assert storage.put_directory(str(source), "code/v1", ignore_file=str(ignore)) == 3
    assert storage.put_directory(str(source), "code/v1", ignore_file=str(ignore)) == 3  # over what is there
    storage.write_path("code/v10/flow.py", b"another")
    assert storage.get_directory("code/v1", str(tmp_path / "back")) == 3
    found = {str(path.relative_to(tmp_path / "back")): path.read_text() for path in (tmp_path / "back").rglob("*.*")}
    assert found == {name: name for name in ("flow.py", "pkg/a.py", "pkg/deep/b.txt")}


def test_a_path_of_a_share_where_nothing_is_raises_file_not_found(storage: Any, tmp_path: Path) -> None:
    storage.write_path("there", b"")
    with pytest.raises(FileNotFoundError, match="no-such"):
        storage.read_path("no-such")
    with pytest.raises(FileNotFoundError, match="no-such"):
        storage.get_directory("no-such", str(tmp_path / "got"))


def test_a_path_that_leads_out_of_a_share_is_refused(storage: Any) -> None:
    with pytest.raises(ConfigurationError, match="leads out"):
        storage.write_path("a/../../x", b"")


def test_a_whole_share_may_be_the_storage(server: samba.Server) -> None:
    smb(server, share_path="flows").write_path("top.txt", b"1")
    assert (server.folder / "flows" / "top.txt").read_bytes() == b"1"


def test_a_wrong_password_is_told_without_it_even_after_the_right_one(server: samba.Server) -> None:
    assert smb(server).check()[-1].ok
    wrong = smb(server, smb_password="hunter2-hunter2")
    with pytest.raises(
        PermissionError, match=f"smb://127.0.0.1:{server.port}/flows/x may not be used.*password"
    ) as caught:
        wrong.read_path("x")
    said = wrong.check()[-1]
    assert not said.ok
    for shown in (repr(caught.value), said.said, repr(wrong)):
        assert "hunter2" not in shown


def test_a_share_that_is_not_there_is_told(server: samba.Server) -> None:
    storage = smb(server, share_path="/nowhere/x")
    with pytest.raises(FileNotFoundError, match=r"/nowhere/x/y: .*no share 'nowhere'"):
        storage.read_path("y")
    assert "no share 'nowhere'" in storage.check()[-1].said


def test_a_share_that_may_only_be_read_is_told(server: samba.Server) -> None:
    (server.folder / "closed" / "file").write_text("1")
    storage = smb(server, share_path="/closed")
    assert storage.read_path("file") == b"1"
    with pytest.raises(PermissionError, match="does not allow"):
        storage.write_path("other", b"")


def test_a_folder_that_does_not_exist_yet_is_found_by_a_check(server: samba.Server) -> None:
    storage = smb(server, share_path=f"/flows/{uuid4().hex}")
    assert [finding.ok for finding in storage.check()] == [True, True]


def test_a_part_of_a_tree_that_cannot_be_read_is_an_error_and_not_left_out(
    server: samba.Server, tmp_path: Path
) -> None:
    folder = server.folder / "closed" / uuid4().hex
    (folder / "pkg").mkdir(parents=True)
    (folder / "flow.py").write_text("f")
    storage = smb(server, share_path=f"/closed/{folder.name}")
    assert storage.get_directory(None, str(tmp_path / "whole")) == 1
    (folder / "pkg").chmod(0)
    try:
        with pytest.raises(PermissionError, match="does not allow"):
            storage.get_directory(None, str(tmp_path / "part"))
    finally:
        (folder / "pkg").chmod(0o755)


def test_a_file_that_is_being_read_may_be_read_by_others_and_is_replaced_afterwards(
    server: samba.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.storage.smb_shares._IN_USE", 300.0)
    storage = smb(server, share_path=f"/flows/{uuid4().hex}")
    storage.write_path("f", b"old")
    folder = server.folder / storage.share_path.strip("/")
    with ThreadPoolExecutor(1) as pool:
        with storage.filesystem.open(f"{storage.share_path}/f", "rb") as reader:
            assert storage.read_path("f") == b"old"
            writing = pool.submit(storage.write_path, "f", b"new")
            wait_until(lambda: any(file.read_bytes() == b"new" for file in folder.glob("*.draft")))
            assert reader.read() == b"old"
        assert writing.result(120) == "f"
    assert storage.read_path("f") == b"new"


def test_a_server_that_was_restarted_is_spoken_to_again(server: samba.Server) -> None:
    storage = smb(server)
    storage.write_path("kept", b"1")
    server.stop()
    server.start()
    assert storage.read_path("kept") == b"1"


def test_a_server_where_nobody_answers_is_told_without_the_password() -> None:
    storage = SMB(share_path="/s", smb_host="127.0.0.1", smb_port=1, smb_username="me", smb_password=PASSWORD)
    with pytest.raises(OSError, match=r"smb://127\.0\.0\.1:1/s/x cannot be used") as caught:
        storage.read_path("x")
    assert PASSWORD not in repr(caught.value)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"share_path": "smb://host/flows"}, "without smb://"),
        ({"share_path": "/"}, "does not say where"),
        ({"share_path": r"\\host\flows"}, "look like /SHARE/folder"),
        ({"share_path": "/flows/../x"}, "lead upwards"),
        ({"smb_host": "smb://host"}, "name or an address alone"),
        ({"smb_host": "host:445"}, "smb_port"),
        ({"smb_port": 0}, "smb_port"),
        ({"smb_password": None}, "smb_password is not given"),
        ({"smb_username": None}, "smb_username is not given"),
    ],
)
def test_what_cannot_work_with_a_share_is_refused_where_it_is_written(fields: dict[str, Any], words: str) -> None:
    good = {"share_path": "/flows", "smb_host": "host", "smb_username": "me", "smb_password": PASSWORD}
    SMB(**good)
    with pytest.raises(pydantic.ValidationError, match=words) as caught:
        SMB(**{**good, **fields})
    assert PASSWORD not in str(caught.value)


def test_fields_of_a_share_may_stand_as_references(server: samba.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMB_SHARE", "/flows")
    monkeypatch.setenv("SMB_PASSWORD", PASSWORD)
    storage = smb(server, share_path="${env:SMB_SHARE}", smb_password="${env:SMB_PASSWORD}")
    storage.write_path("a", b"1")
    assert storage.read_path("a") == b"1"


def test_a_tree_of_many_small_files_travels_several_at_once(server: samba.Server, tmp_path: Path) -> None:
    """A new connection is allowed one request at a time at first."""
    storage = smb(server, share_path=f"/flows/{uuid4().hex}")
    content = {f"{number}.py": f"x = {number}\n" for number in range(60)}
    (tmp_path / "source").mkdir()
    for name, text in content.items():
        (tmp_path / "source" / name).write_text(text)
    for number in range(2):
        assert storage.put_directory(str(tmp_path / "source")) == 60
        assert storage.get_directory(None, str(tmp_path / f"back{number}")) == 60
        assert {path.name: path.read_text() for path in (tmp_path / f"back{number}").iterdir()} == content
