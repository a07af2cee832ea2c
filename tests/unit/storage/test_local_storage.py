"""The storage block of a local folder."""

import os
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.errors import ConfigurationError
from penstock.storage.ignore import Ignore
from penstock.storage.local import LocalFileSystem


def test_what_is_written_is_read(tmp_path):
    storage = LocalFileSystem(basepath=tmp_path)
    storage.write_path("a/b.bin", b"\x00\x01")
    assert storage.read_path("a/b.bin") == b"\x00\x01"
    assert storage.read_path(str(tmp_path / "a/b.bin")) == b"\x00\x01"


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(FileNotFoundError):
        LocalFileSystem(basepath=tmp_path).read_path("none")


@pytest.mark.parametrize("path", ["../secret", "a/../../secret", "/etc/passwd", "link/secret"])
def test_no_path_leads_out_of_the_base(tmp_path, path):
    base = tmp_path / "base"
    base.mkdir()
    (tmp_path / "secret").write_text("s")
    (base / "link").symlink_to(tmp_path)
    storage = LocalFileSystem(basepath=str(base))
    for use in (storage.read_path, lambda p: storage.write_path(p, b"x"), storage.get_directory):
        with pytest.raises(ConfigurationError, match="out of the storage's folder"):
            use(path)
    assert (tmp_path / "secret").read_text() == "s"


def test_a_failed_write_leaves_the_old_content_and_nothing_else(tmp_path):
    storage = LocalFileSystem(basepath=tmp_path)
    storage.write_path("a", b"old")
    with pytest.raises(TypeError):
        storage.write_path("a", "no bytes")  # type: ignore[arg-type]
    assert storage.read_path("a") == b"old"
    assert os.listdir(tmp_path) == ["a"]


def test_a_tree_goes_there_and_back(tmp_path):
    source, store, back = tmp_path / "source", tmp_path / "store", tmp_path / "back"
    for name in ("flow.py", "package/data.txt", "package/__pycache__/x.pyc", ".git/config"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(name)
    storage = LocalFileSystem(basepath=store)
    assert storage.put_directory(str(source), "project") == 2
    assert storage.get_directory("project", str(back)) == 2
    assert sorted(p.relative_to(back).as_posix() for p in back.rglob("*") if p.is_file()) == [
        "flow.py",
        "package/data.txt",
    ]


def test_what_the_ignore_file_names_stays_behind(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for name in ("flow.py", "secret.env", "notes.txt", ".ignore"):
        (source / name).write_text(name)
    (source / ".ignore").write_text("# ours\n*.env\n*.txt\n!notes.txt\n.ignore\n")
    storage = LocalFileSystem(basepath=tmp_path / "store")
    storage.put_directory(str(source), ignore_file=str(source / ".ignore"))
    assert sorted(os.listdir(tmp_path / "store")) == ["flow.py", "notes.txt"]


def test_a_folder_is_not_copied_onto_itself(tmp_path):
    (tmp_path / "flow.py").write_text("x")
    assert LocalFileSystem(basepath=tmp_path).get_directory(local_path=str(tmp_path)) == 0


def test_a_copy_into_its_own_source_ends(tmp_path):
    (tmp_path / "flow.py").write_text("x")
    assert LocalFileSystem(basepath=tmp_path / "store").put_directory(str(tmp_path)) == 1


def test_a_missing_folder_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder"):
        LocalFileSystem(basepath=tmp_path).get_directory("none", str(tmp_path / "here"))


#: One of each kind.
PATTERNS = ["a", "a/", "/a", "*.b", "a*", "?", "a/b", "a/*", "**/b", "a/**", "a/**/b", "!a", "!*.b", "[ab]", "[!a]"]
PATTERNS += ["#a", "\\#a", "a ", "", "/", "**", "\\!a", "a.b", "!a/b"]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=4),
    st.lists(st.lists(st.sampled_from(["a", "b", "a.b", "#a", "!a"]), min_size=1, max_size=3), min_size=1, max_size=4),
)
def test_patterns_mean_what_git_says(tmp_path_factory, patterns, paths):
    names = ["/".join(parts) for parts in paths]
    folder = tmp_path_factory.mktemp("git")
    subprocess.run(["git", "init", "-q", folder], check=True)
    (folder / ".git/info/exclude").write_text("\n".join(patterns) + "\n")
    answer = subprocess.run(
        ["git", "-C", folder, "-c", "core.quotePath=false", "check-ignore", "--no-index", "--stdin", "-z"],
        input="\0".join(names).encode(),
        capture_output=True,
        check=False,
    ).stdout.decode()
    ignored = set(filter(None, answer.split("\0")))
    assert {name for name in names if Ignore(patterns).ignores(name)} == ignored
