"""Images for tests that need no registry: busybox from the busybox-static of this machine, Python on Debian from debootstrap.

What is slow to make is kept in a cache outside the checkout, under a hash of how it was made.
"""

import fcntl
import hashlib
import io
import os
import shutil
import stat
import struct
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.errors import ImageNotFound

BUSYBOX = "penstock-test/busybox:1"
#: The base of Python images: a small Debian with python3, venv, git and tini.
PYTHON = "penstock-test/python:{version}"
#: Says of an image how it was made, and that tests made it.
RECIPE = "penstock.test.recipe"

_PATH = f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin{os.pathsep}/sbin"
_DEBIAN_PACKAGES = "ca-certificates,git,python3,python3-venv,tini"
_DEBIAN_LEAVES = (
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "var/cache/apt",
    "var/lib/apt/lists",
    "var/log/apt",
)
_DEBIAN_RECIPE = "1"  # to be raised when what is done with the packages changes


def cache_folder() -> Path:
    """Where slow things are kept for the next test run."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "penstock-tests"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def locked(name: str) -> Iterator[None]:
    """One process of this user at a time makes the thing called `name`."""
    with (cache_folder() / f"{name}.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def import_busybox(client: docker.APIClient) -> str:
    """Have busybox there: `sh`, `sleep`, `wget` and the rest. Raises FileNotFoundError where this machine has no static one."""
    program = find_busybox()
    if program is None:
        raise FileNotFoundError("no statically linked busybox (Debian's package busybox-static)")
    recipe = hashlib.sha256(b"3" + program.read_bytes()).hexdigest()[:16]
    if _recipe_of(client, BUSYBOX) != recipe:
        applets = subprocess.run([program, "--list"], capture_output=True, text=True, check=True).stdout.split()
        _import(client, BUSYBOX, recipe, _busybox_tar(program, applets), ["ENV PATH=/bin", 'CMD ["sh"]'])
    return BUSYBOX


def import_python(client: docker.APIClient) -> str:
    """Have the base of Python images there. Raises FileNotFoundError where debootstrap or the mirror of an apt are missing."""
    source = _debian_source()
    recipe = hashlib.sha256(repr((_DEBIAN_RECIPE, _DEBIAN_PACKAGES, source.suite)).encode()).hexdigest()[:16]
    file = cache_folder() / f"python-{recipe}.tar"
    with locked("python-base"):
        if not file.exists():
            _debootstrap(source, file)
    with tarfile.open(file) as tar:
        version = tar.getmember("usr/bin/python3").linkname.removeprefix("python")
    name = PYTHON.format(version=version)
    if _recipe_of(client, name) != recipe:
        changes = ["ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8"]
        _import(client, name, recipe, file, [*changes, 'CMD ["python3"]'])
    return name


def find_busybox() -> Path | None:
    """A busybox that needs no library, or None."""
    found = shutil.which("busybox", path=_PATH)
    if found is None:
        return None
    return Path(found) if _is_static(Path(found).read_bytes()) else None


def _is_static(program: bytes) -> bool:
    """Whether a program of a 64-bit Linux asks for no loader: none of its headers is of type 3, PT_INTERP."""
    (first,) = struct.unpack_from("<Q", program, 0x20)
    size, count = struct.unpack_from("<HH", program, 0x36)
    return all(struct.unpack_from("<I", program, first + size * number) != (3,) for number in range(count))


@dataclass(frozen=True)
class _Source:
    """Where this machine gets Debian from."""

    mirror: str
    suite: str


def _debian_source() -> _Source:
    if os.geteuid() != 0 or shutil.which("debootstrap", path=_PATH) is None:
        raise FileNotFoundError("no base image can be made: that takes root and Debian's package debootstrap")
    files = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    for text in (file.read_text() for file in files if file.is_file()):
        for mirror, suites in _sources_in(text):
            for suite in suites:
                if "-" not in suite:  # neither security nor updates nor backports
                    return _Source(mirror, suite)
    raise FileNotFoundError("no base image can be made: apt has no source here that debootstrap could use")


def _sources_in(text: str) -> Iterator[tuple[str, list[str]]]:
    """Addresses with their suites, of a file in either of apt's forms."""
    for line in text.splitlines():
        words = [word for word in line.split() if not word.startswith("[") and not word.endswith("]")]
        if len(words) > 3 and words[0] == "deb" and "main" in words[3:]:
            yield words[1], [words[2]]
    for paragraph in text.split("\n\n"):
        pairs = (line.partition(":") for line in paragraph.splitlines() if not line.startswith("#"))
        fields = {name.strip().lower(): value.split() for name, _, value in pairs}
        if "deb" in fields.get("types", []) and "main" in fields.get("components", []):
            yield fields["uris"][0], fields["suites"]


def _debootstrap(source: _Source, file: Path) -> None:
    """Takes a minute or two."""
    print(f"making the base image for tests ({source.suite}) ...", file=sys.stderr)
    folder = Path(tempfile.mkdtemp(prefix="penstock-base-"))
    try:
        command = [
            "debootstrap",
            "--variant=minbase",
            f"--include={_DEBIAN_PACKAGES}",
            source.suite,
            str(folder),
            source.mirror,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PATH": _PATH})
        if done.returncode != 0:
            raise RuntimeError(f"debootstrap failed: {(done.stderr or done.stdout)[-2000:]}")
        for leaf in _DEBIAN_LEAVES:
            shutil.rmtree(folder / leaf, ignore_errors=True)
        (folder / "var/lib/apt/lists/partial").mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")
        subprocess.run(
            [
                "tar",
                "--numeric-owner",
                "--one-file-system",
                "-C",
                str(folder),
                "-cf",
                str(part),
                "--transform",
                "s,^./,,",
                ".",
            ],
            check=True,
        )
        part.replace(file)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _busybox_tar(program: Path, applets: list[str]) -> bytes:
    """A root file system of one program under all its names."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, mode in {
            "bin": 0o755,
            "dev": 0o755,
            "etc": 0o755,
            "proc": 0o755,
            "root": 0o700,
            "run": 0o755,
            "sys": 0o755,
            "tmp": 0o1777,
        }.items():
            _add(tar, name, tarfile.DIRTYPE, mode)
        content = program.read_bytes()
        _add(tar, "bin/busybox", tarfile.REGTYPE, stat.S_IMODE(program.stat().st_mode), content)
        for applet in applets:
            if applet != "busybox":
                _add(tar, f"bin/{applet}", tarfile.SYMTYPE, 0o777, link="busybox")
        _add(
            tar,
            "etc/passwd",
            tarfile.REGTYPE,
            0o644,
            b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/tmp:/bin/sh\n",
        )
        _add(tar, "etc/group", tarfile.REGTYPE, 0o644, b"root:x:0:\nnobody:x:65534:\n")
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, name: str, kind: bytes, mode: int, content: bytes = b"", link: str = "") -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.size, entry.linkname = kind, mode, len(content), link
    tar.addfile(entry, io.BytesIO(content))


def _import(client: docker.APIClient, name: str, recipe: str, content: bytes | Path, changes: list[str]) -> None:
    repository, _, tag = name.rpartition(":")
    changes = [*changes, f"LABEL {RECIPE}={recipe}"]
    if isinstance(content, Path):
        with content.open("rb") as file:
            client.import_image_from_data(file, repository=repository, tag=tag, changes=changes)
    else:
        client.import_image_from_data(content, repository=repository, tag=tag, changes=changes)
    if _recipe_of(client, name) != recipe and _recipe_of(client, repository) == recipe:  # Podman does not hear the tag
        client.tag(repository, repository, tag)
        client.remove_image(f"{repository}:latest", noprune=True)
    if _recipe_of(client, name) != recipe:
        raise RuntimeError(f"the engine did not take {name}")


def _recipe_of(client: docker.APIClient, name: str) -> str | None:
    try:
        labels = client.inspect_image(name)["Config"]["Labels"] or {}
    except ImageNotFound:
        return None
    recipe: str = labels.get(RECIPE, "")
    return recipe
