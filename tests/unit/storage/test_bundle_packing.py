"""What of a folder makes its bundle, and that the same files are always the same bundle."""

import os
import shutil
import subprocess
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from penstock.errors import CodeError, ConfigurationError
from penstock.storage import bundle_packing
from penstock.storage.bundle import pack_project
from penstock.storage.bundle_ignore import rules_of
from penstock.storage.bundle_packing import Contents, is_straight, leads_outside, pack, survey
from penstock.storage.bundle_secrets import holds_secret
from penstock.storage.bundle_unpacking import unpack

Tree = dict[str, tuple[bytes, bool] | str]

NAMES = st.text(st.sampled_from("abcxyz.-_ äß'\\\n*["), min_size=1, max_size=6).filter(
    lambda name: name not in (".", "..", ".git", ".gitignore", ".env")
)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
FILES = st.tuples(st.binary(max_size=2000), st.booleans())


@st.composite
def trees(draw: Callable[[st.SearchStrategy[object]], object]) -> Tree:
    """Path -> content and whether it is executable, or where a link leads."""
    found: Tree = {}
    for path, content in draw(st.dictionaries(PATHS, FILES, min_size=1, max_size=8)).items():  # type: ignore[attr-defined]
        parts = path.split("/")
        above = {"/".join(parts[:depth]) for depth in range(1, len(parts))}
        if not above & set(found) and not any(other.startswith(f"{path}/") for other in found):
            found[path] = content
    if draw(st.booleans()):
        target = draw(st.sampled_from(sorted(found)))
        found.setdefault("zz-link", str(target))
    return found


@contextmanager
def laid_out(tree: Tree) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        for path, content in tree.items():
            place = Path(folder, path)
            place.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, str):
                place.symlink_to(content)
            else:
                place.write_bytes(content[0])
                place.chmod(0o755 if content[1] else 0o644)
        yield Path(folder)


def read(folder: Path) -> Tree:
    found: Tree = {}
    for place in sorted(folder.rglob("*")):
        path = place.relative_to(folder).as_posix()
        if place.is_symlink():
            found[path] = os.readlink(place)
        elif place.is_file():
            found[path] = (place.read_bytes(), bool(place.stat().st_mode & 0o100))
    return found


def plain(folder: Path) -> Contents:
    ignore = folder.parent / f"{folder.name}.ignore"
    ignore.touch()
    try:
        return survey(folder, rules_of(folder, ignore))
    finally:
        ignore.unlink()


def digest(folder: Path) -> str:
    return pack(folder, plain(folder), lambda piece: None)


def written(folder: Path, **contents: str | bytes) -> Path:
    """A folder with these files; ``__`` in a name is a slash."""
    for name, content in contents.items():
        place = folder / name.replace("__", "/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def lay(folder: Path, *paths: str) -> Path:
    for path in paths:
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"content of {path}")
    return folder


def paths_of(folder: Path) -> list[str]:
    return [entry.path for entry in survey(folder, rules_of(folder)).entries]


@settings(max_examples=15, deadline=None)
@given(trees())
def test_what_was_packed_is_what_is_unpacked(tree: Tree) -> None:
    with laid_out(tree) as folder, tempfile.TemporaryDirectory() as elsewhere:
        archive = BytesIO()
        pack(folder, plain(folder), archive.write)
        archive.seek(0)
        assert unpack(archive, Path(elsewhere)) == len(tree)
        assert read(Path(elsewhere)) == tree


@settings(max_examples=15, deadline=None)
@given(trees())
def test_the_same_files_have_the_same_digest_whenever_and_wherever_they_were_made(tree: Tree) -> None:
    with laid_out(tree) as one, laid_out(dict(reversed(tree.items()))) as other:
        for place in other.rglob("*"):
            if place.is_file() and not place.is_symlink():
                os.utime(place, (1, 1))
        (other / "empty folder").mkdir()
        assert digest(one) == digest(other)


@settings(max_examples=15, deadline=None)
@given(trees(), trees())
def test_other_files_have_another_digest(one: Tree, other: Tree) -> None:
    assume(one != other)
    with laid_out(one) as here, laid_out(other) as there:
        assert digest(here) != digest(there)


@pytest.mark.parametrize("change", ["content", "name", "executable", "more", "less"])
def test_any_change_changes_the_digest(tmp_path: Path, change: str) -> None:
    lay(tmp_path / "project", "flow.py", "a/b.txt")
    before = digest(tmp_path / "project")
    place = tmp_path / "project" / "a" / "b.txt"
    if change == "content":
        place.write_text("content of a/b.txT")
    elif change == "name":
        place.rename(place.with_name("c.txt"))
    elif change == "executable":
        place.chmod(0o755)
    elif change == "more":
        place.with_name("c.txt").touch()
    else:
        place.unlink()
    assert digest(tmp_path / "project") != before


def test_what_tools_leave_behind_and_git_ignores_stays_behind(tmp_path: Path) -> None:
    lay(
        tmp_path,
        "flow.py",
        "lib/code.py",
        "lib/__pycache__/code.pyc",
        ".git/config",
        "node_modules/x.js",
        ".env",
        ".venv/a",
    )
    lay(
        tmp_path,
        "out/result.csv",
        "lib/cache/x",
        "lib/keep/cache",
        "my-env/pyvenv.cfg",
        "my-env/bin/python",
        ".DS_Store",
    )
    (tmp_path / ".gitignore").write_text("out/\n")
    (tmp_path / "lib" / ".gitignore").write_text("/cache\n")
    assert paths_of(tmp_path) == [".gitignore", "flow.py", "lib/.gitignore", "lib/code.py", "lib/keep/cache"]


def test_a_folder_that_its_repository_ignores_as_a_whole_is_packed_all_the_same(tmp_path: Path) -> None:
    lay(tmp_path, ".git/config", "scratch/flow.py", "scratch/.git-blame", "scratch/sub/.git", "scratch/__pycache__/x")
    (tmp_path / ".gitignore").write_text("scratch/\n")
    assert paths_of(tmp_path / "scratch") == [".git-blame", "flow.py"]


def test_an_ignore_file_of_ours_counts_instead_of_gits(tmp_path: Path) -> None:
    lay(tmp_path, "flow.py", "out.csv", "large.bin", ".git/config", "a/__pycache__/b.pyc", ".penstock/server.key")
    (tmp_path / ".gitignore").write_text("out.csv\n")
    (tmp_path / ".prefectignore").write_text("large.bin\n.penstock\n")
    assert paths_of(tmp_path) == [".gitignore", "flow.py", "out.csv"]
    (tmp_path / ".penstockignore").write_text("*\n!flow.py\n")
    assert paths_of(tmp_path) == ["flow.py"]


def test_an_ignore_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / ".penstockignore").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="penstockignore cannot be read"):
        rules_of(tmp_path)


LINES = st.lists(
    st.builds(
        lambda keep, start, text, end: f"{keep}{start}{text}{end}",
        st.sampled_from(["", "", "!"]),
        st.sampled_from(["", "/", "**/"]),
        st.sampled_from(["a", "b", "*.c", "a/b", "d*", "a/**/c", "[ab]", "?"]),
        st.sampled_from(["", "/", "/*"]),
    ),
    max_size=4,
)


@pytest.mark.skipif(shutil.which("git") is None and not os.environ.get("CI"), reason="git is not installed")
@settings(max_examples=15, deadline=None)
@given(LINES, LINES)
def test_files_named_gitignore_mean_what_they_mean_to_git(top: list[str], nested: list[str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = lay(Path(name), "a", "b/a", "b/c/a", "b/x.c", "d/a/b", "d/x", "da/b/c/c", "x.c", "b/b/a")
        (folder / ".gitignore").write_text("\n".join(top))
        (folder / "b" / ".gitignore").write_text("\n".join(nested))
        environment = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
        subprocess.run(["git", "init", "-q", name], check=True, env=environment)
        said = subprocess.run(
            ["git", "-C", name, "ls-files", "--others", "--exclude-standard", "-z"],
            check=True,
            env=environment,
            capture_output=True,
        )
        known = set(said.stdout.decode().strip("\0").split("\0")) - {""}
        assert set(paths_of(folder)) == known
        within = {path.removeprefix("b/") for path in known if path.startswith("b/")}
        if within:
            assert set(paths_of(folder / "b")) == within, "a part of a repository heeds what is said at its top"


def test_deployment_files_stay_behind_for_they_name_the_bundle(tmp_path: Path) -> None:
    lay(tmp_path, "flow.py", "values.yaml")
    (tmp_path / "main-deployment.yaml").write_text(
        "name: n\nflow_name: f\nentrypoint: a\nparameter_openapi_schema: {}\n"
    )
    assert paths_of(tmp_path) == ["flow.py", "values.yaml"]


def test_links_within_the_folder_stay_links(tmp_path: Path) -> None:
    project = lay(tmp_path / "project", "real/file.txt")
    (project / "relative").symlink_to("real/file.txt")
    (project / "absolute").symlink_to(project / "real")
    (project / "real" / "crooked").symlink_to("../real/../real/file.txt")
    found = {entry.path: entry.link for entry in survey(project, rules_of(project)).entries}
    assert found == {
        "absolute": "real",
        "real/crooked": "file.txt",
        "real/file.txt": None,
        "relative": "real/file.txt",
    }


@pytest.mark.parametrize("target", ["/etc/hostname", "../outside", ".."])
def test_a_link_out_of_the_folder_is_refused_with_its_name(tmp_path: Path, target: str) -> None:
    project = lay(tmp_path / "project", "flow.py")
    (project / "out").symlink_to(target)
    with pytest.raises(CodeError, match="The link out leads to"):
        survey(project, rules_of(project))
    (project / ".penstockignore").write_text("out\n")
    assert paths_of(project) == ["flow.py"]


def test_what_is_no_file_stays_behind(tmp_path: Path) -> None:
    lay(tmp_path, "flow.py")
    os.mkfifo(tmp_path / "pipe")
    assert paths_of(tmp_path) == ["flow.py"]


@pytest.mark.parametrize(
    "path",
    [
        ".env",
        "app/.env.production",
        "id_rsa",
        "ssh/id_ed25519",
        "tls/server.key",
        "kubeconfig",
        ".aws/credentials",
        ".netrc",
        "store.p12",
        "x.KEY",
        "infra/terraform.tfstate",
        ".git-credentials",
        ".kube/config",
    ],
)
def test_files_of_keys_are_known_by_name(path: str) -> None:
    assert holds_secret(path, b"")


@pytest.mark.parametrize(
    "path", [".env.example", "environment.py", "keys.py", "config", "credentials.py", "cacert.pem", "a.json"]
)
def test_files_that_only_sound_like_it_are_not(path: str) -> None:
    assert not holds_secret(path, b"-----BEGIN CERTIFICATE-----\nMIIB\n")


@pytest.mark.parametrize(
    ("path", "head"),
    [
        ("account.json", b'{"type": "service_account", "private_key": "-----BEGIN PRIVATE KEY-----"}'),
        ("anything.pem", b"-----BEGIN RSA PRIVATE KEY-----\nMIIE"),
        ("deploy", b"-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl"),
        ("cluster.yaml", b"apiVersion: v1\nkind: Config\nclusters: []\n"),
        (".npmrc", b"//registry.example.com/:_authToken=abc"),
    ],
)
def test_files_of_keys_are_known_by_what_they_begin_with(path: str, head: bytes) -> None:
    assert holds_secret(path, head)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_a_project_with_keys_is_refused_with_their_names_unless_they_are_wanted(tmp_path: Path, home: Path) -> None:
    project = lay(tmp_path / "project", "flow.py", "tls/server.key")
    with pytest.raises(CodeError, match=r"usually hold secrets: tls/server\.key") as refused:
        pack_project(project)
    assert refused.value.code == "bundle_secrets"
    assert pack_project(project, include_secret_files=True).bundle.files == 2


def test_a_project_that_is_too_large_is_refused_with_its_largest_folders(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = lay(tmp_path / "project", "flow.py")
    written(project, data__a=b"x" * 900_000, data__b=b"x" * 200_000)
    monkeypatch.setenv("PENSTOCK_BUNDLE_LIMIT_MB", "1")
    with pytest.raises(CodeError, match=r"allows 1\.0 MB\. The most is in data \(1\.1 MB\)") as refused:
        pack_project(project)
    assert refused.value.code == "bundle_too_large"


def test_a_large_project_is_packed_with_a_warning_and_in_little_memory(tmp_path: Path, home: Path) -> None:
    project = lay(tmp_path / "project", "flow.py")
    (project / "data").mkdir()
    with (project / "data" / "hole").open("wb") as file:
        file.truncate(51_000_000)
    tracemalloc.start()
    try:
        packed = pack_project(project)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8_000_000
    warning = packed.warning()
    assert warning is not None
    assert "data (51.0 MB)" in warning
    assert "2 files, 51.0 MB" in packed.manifest()


def test_a_folder_of_too_many_files_is_no_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle_packing, "MOST_FILES", 3)
    lay(tmp_path, "flow.py", "pictures/a", "pictures/b", "pictures/c")
    with pytest.raises(CodeError, match=r"more than 3 files, .* pictures \(3\)"):
        survey(tmp_path, rules_of(tmp_path))


def test_nothing_to_pack_and_penstocks_own_home_are_no_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "state"))
    lay(tmp_path, "state/penstock.db")
    with pytest.raises(CodeError, match="nothing to bundle"):
        pack_project(tmp_path)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    project = lay(tmp_path / "project", "flow.py", "locked/secret.txt")
    contents = survey(project, rules_of(project))
    (project / "locked" / "secret.txt").unlink()
    with pytest.raises(CodeError, match=r"locked/secret\.txt cannot be read"):
        pack(project, contents, lambda piece: None)
    (project / "locked" / "secret.txt").write_text("grown")
    with pytest.raises(CodeError, match=r"locked/secret\.txt changed while it was packed"):
        pack(project, contents, lambda piece: None)


@pytest.mark.parametrize(
    ("path", "target", "straight", "outside"),
    [
        ("a", "b", True, False),
        ("a/b", "../c", True, False),
        ("a/b", "../../c", True, True),
        ("a", "..", True, True),
        ("a/b", "..", True, False),
        ("a", "b/../c", False, False),
        ("a", "/etc", False, False),
        ("a", "", False, False),
    ],
)
def test_where_a_link_leads_is_seen_from_its_text(path: str, target: str, straight: bool, outside: bool) -> None:
    assert is_straight(target) is straight
    if straight:
        assert leads_outside(path, target) is outside
