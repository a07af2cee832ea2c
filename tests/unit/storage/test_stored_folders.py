"""What of a folder is stored, and where the block of a local folder keeps it."""

import logging
import os
from pathlib import Path
from uuid import uuid4

import pytest

from penstock.errors import ConfigurationError
from penstock.model.attempts import InfrastructureDocument
from penstock.storage.local import LocalFileSystem


def write(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def stored(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("files", "kept"),
    [
        ({".penstockignore": "a\n", ".prefectignore": "b\n"}, ["b"]),
        ({".prefectignore": "b\n"}, ["a"]),
        ({}, ["a", "b"]),
    ],
)
def test_the_folders_own_ignore_file_counts(tmp_path: Path, files: dict[str, str], kept: list[str]) -> None:
    source = write(tmp_path / "source", "a", "b")
    for name, text in files.items():
        (source / name).write_text(text + ".p*ignore\n")
    LocalFileSystem(basepath=tmp_path / "store").put_directory(str(source))
    assert stored(tmp_path / "store") == kept


def test_an_ignore_file_that_is_named_and_missing_stores_nothing(tmp_path: Path) -> None:
    source = write(tmp_path / "source", "secret")
    with pytest.raises(ConfigurationError, match=r"none cannot be read.*No such file"):
        LocalFileSystem(basepath=tmp_path / "store").put_directory(str(source), ignore_file=str(tmp_path / "none"))
    assert not (tmp_path / "store").exists()


def test_what_links_lead_to_is_stored(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source, shared = write(tmp_path / "source", "flow.py"), write(tmp_path / "shared", "a.py", "deep/b.py")
    (source / "lib").symlink_to(shared)
    (source / "one.py").symlink_to(shared / "a.py")
    (source / "around").symlink_to(source)
    (source / "nowhere").symlink_to(tmp_path / "gone")
    os.mkfifo(source / "pipe")
    LocalFileSystem(basepath=tmp_path / "store").put_directory(str(source))
    assert stored(tmp_path / "store") == ["flow.py", "lib/a.py", "lib/deep/b.py", "one.py"]
    for words in ("around is left out: the link leads to a folder", "nowhere is left out", "pipe is left out"):
        assert words in caplog.text


def test_the_log_says_how_much_was_brought(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    write(tmp_path / "store" / "code", "a", "b/c")
    LocalFileSystem(basepath=tmp_path / "store").get_directory("code", str(tmp_path / "here"))
    assert f"2 files, 4 bytes copied from {tmp_path}/store/code in" in caplog.text


def test_a_relative_folder_is_saved_as_the_absolute_one_that_it_is_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    storage = LocalFileSystem(basepath="flows")
    assert storage.to_document_data() == {"basepath": str(tmp_path / "flows")}
    monkeypatch.chdir(tmp_path / "elsewhere")
    storage.write_path("a", b"1")
    assert (tmp_path / "flows" / "a").read_bytes() == b"1"


@pytest.mark.parametrize("basepath", ["~/flows", "${env:FLOWS}/x", None])
def test_a_folder_that_each_machine_finds_by_itself_is_saved_as_it_was_written(basepath: str | None) -> None:
    assert LocalFileSystem(basepath=basepath).to_document_data() == {"basepath": basepath}


def test_a_relative_folder_of_a_saved_block_is_refused_and_not_looked_for_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from penstock.blocks.reading import read_claimed

    monkeypatch.chdir(write(tmp_path, "flows/a"))
    document = InfrastructureDocument(slug="local-file-system", name="old", data={"basepath": "flows"})
    storage = read_claimed(document)
    assert isinstance(storage, LocalFileSystem)
    for use in (storage.get_directory, lambda: storage.read_path("a")):
        with pytest.raises(ConfigurationError, match="'flows' is relative") as caught:
            use()
        assert "local-file-system/old with an absolute basepath" in str(caught.value.hint)
    assert "is relative" in storage.check()[-1].said


def test_a_path_below_the_folder_is_meant_wherever_the_process_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "store/v1/right.py", "here/v1/wrong.py")
    monkeypatch.chdir(tmp_path / "here")
    LocalFileSystem(basepath=tmp_path / "store").get_directory("v1", str(tmp_path / "got"))
    assert stored(tmp_path / "got") == ["right.py"]


def test_a_block_and_a_path_that_say_nothing_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match="copied onto itself"):
        LocalFileSystem().get_directory()


def test_a_check_says_whether_the_folder_can_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    there, later = LocalFileSystem(basepath=tmp_path), LocalFileSystem(basepath=tmp_path / uuid4().hex)
    assert (there.check()[-1].ok, there.check()[-1].said) == (True, "can be read")
    assert (later.check()[-1].ok, "not there on this machine yet" in later.check()[-1].said) == (True, True)
    assert not LocalFileSystem(basepath=tmp_path / "file" / "x").check()[-1].ok
