"""An archive that no bundle of ours is writes nothing, and never outside of the folder."""

import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from penstock.errors import CodeError
from penstock.storage.bundle_unpacking import unpack


def member(name: str, content: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def link(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, type=tarfile.SYMTYPE, linkname=target)


def archive(*members: tuple[tarfile.TarInfo, bytes]) -> BytesIO:
    made = BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.GNU_FORMAT) as opened:
        for info, content in members:
            opened.addfile(info, BytesIO(content))
    made.seek(0)
    return made


ODD = {
    "absolute path": [member("/etc/evil", b"x")],
    "path upwards": [member("../evil", b"x")],
    "path upwards in the middle": [member("a/../../evil", b"x")],
    "path with a dot": [member("./a", b"x")],
    "path with an empty part": [member("a//b", b"x")],
    "link out": [link("a", "/etc")],
    "link upwards": [link("a/b", "../../..")],
    "crooked link": [link("a", "b/../../c")],
    "file behind a link": [link("a", "b"), member("a/evil", b"x")],
    "file twice": [member("a", b"x"), member("a", b"y")],
    "file instead of a link": [link("a", "b"), member("a", b"x")],
    "hard link": [member("a", type=tarfile.LNKTYPE, linkname="/etc/passwd")],
    "device": [member("a", type=tarfile.CHRTYPE)],
    "pipe": [member("a", type=tarfile.FIFOTYPE)],
    "folder": [member("a", type=tarfile.DIRTYPE)],
}


@pytest.mark.parametrize("odd", ODD)
def test_an_archive_with_an_odd_member_is_refused_before_anything_is_written(tmp_path: Path, odd: str) -> None:
    target = tmp_path / "target"
    target.mkdir()
    with pytest.raises(CodeError) as refused:
        unpack(archive(member("fine", b"fine"), *ODD[odd]), target)
    assert refused.value.code == "bundle_odd"
    assert sorted(tmp_path.rglob("*")) == [target]


def test_files_come_over_what_is_there_and_links_are_replaced_not_followed(tmp_path: Path) -> None:
    target, outside = tmp_path / "target", tmp_path / "outside"
    target.mkdir()
    outside.write_text("untouched")
    (target / "linked").symlink_to(outside)
    (target / "old").write_text("old")
    (target / "own").write_text("own")
    assert unpack(archive(member("linked", b"new"), member("old", b"newer"), link("to", "old")), target) == 3
    assert outside.read_text() == "untouched"
    assert {place.name: place.read_text() for place in target.iterdir()} == {
        "linked": "new",
        "old": "newer",
        "own": "own",
        "to": "newer",
    }


def test_a_folder_of_the_bundle_becomes_the_top(tmp_path: Path) -> None:
    whole = archive(member("a/b/c", b"c"), member("a/d", b"d"), member("ab/e", b"e"))
    assert unpack(whole, tmp_path, "a/") == 2
    assert sorted(place.relative_to(tmp_path).as_posix() for place in tmp_path.rglob("*")) == ["b", "b/c", "d"]
    whole.seek(0)
    with pytest.raises(FileNotFoundError, match="no folder 'x'"):
        unpack(whole, tmp_path, "x")
