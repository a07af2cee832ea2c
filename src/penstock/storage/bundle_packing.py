"""Which files make a bundle, and the archive that is made of them: the same files, the same bytes.

An archive is a tar file (GNU, UTF-8) of files and links in the order of their paths, without times, owners or folders. Its
digest is the SHA-256 of that tar file, so that it does not depend on how it is compressed on its way.
"""

import os
import stat
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO, cast

from penstock.errors import CodeError
from penstock.storage.bundle_ignore import Rules, is_environment
from penstock.storage.bundle_secrets import HEAD, holds_secret

#: Files that a bundle may have: a home folder that somebody builds in by mistake has more.
MOST_FILES = 50_000
#: Bytes that are read at a time.
STEP = 256 * 1024
#: Deployment files are no larger than this; larger ones are not looked into.
_LARGEST_DEPLOYMENT_FILE = 1024 * 1024
#: What every deployment file has at the beginning of a line. It names the bundle, so it cannot be in it.
_DEPLOYMENT_FILE = (b"flow_name:", b"entrypoint:", b"parameter_openapi_schema:")


@dataclass(frozen=True)
class Entry:
    """One file (`link` None) or symbolic link. `path` is relative, with ``/``."""

    path: str
    size: int
    executable: bool = False
    link: str | None = None


@dataclass(frozen=True)
class Contents:
    """What a bundle is made of, in order, and the files in it that are known to hold secrets."""

    entries: tuple[Entry, ...]
    secrets: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.entries)

    def largest(self, count: int) -> list[Entry]:
        """The largest files first."""
        return sorted(self.entries, key=lambda entry: (-entry.size, entry.path))[:count]

    def largest_folders(self, count: int) -> list[tuple[str, int]]:
        """The folders at the top with the most bytes, and how many; ``.`` is the project itself."""
        found: Counter[str] = Counter()
        for entry in self.entries:
            folder, slash, _ = entry.path.partition("/")
            found[folder if slash else "."] += entry.size
        return found.most_common(count)


def survey(root: Path, rules: Rules, skip: Sequence[Path] = ()) -> Contents:
    """What of the folder `root` makes its bundle: all but what the rules name, virtual environments, deployment files, and
    the folders in `skip`. What is neither file nor link stays behind.

    Raises CodeError for links that lead out of the folder, and for files that cannot be read.
    """
    entries: list[Entry] = []
    secrets: list[str] = []
    real_root = os.path.realpath(root)
    skipped = {os.path.realpath(path) for path in skip}
    for found, path in _walk(root, "", rules, skipped):
        if found.is_symlink():
            entries.append(_link(found, path, real_root))
            continue
        status = found.stat()
        if not stat.S_ISREG(status.st_mode):
            continue
        head = _head(found.path, path)
        if _is_deployment_file(found, status.st_size):
            continue
        if holds_secret(path, head):
            secrets.append(path)
        entries.append(Entry(path, status.st_size, executable=bool(status.st_mode & stat.S_IXUSR)))
        if len(entries) > MOST_FILES:
            raise _too_many(root, Contents(tuple(entries)))
    entries.sort(key=lambda entry: os.fsencode(entry.path))
    return Contents(tuple(entries), tuple(sorted(secrets)))


def _too_many(root: Path, found: Contents) -> CodeError:
    folders = Counter(entry.path.partition("/")[0] for entry in found.entries).most_common(3)
    return CodeError(
        f"{root} holds more than {MOST_FILES:,} files, which is no project. The most lie in "
        f"{', '.join(f'{name} ({count:,})' for name, count in folders)}.",
        code="bundle_too_large",
        hint="Build in the folder of the flow's code, or name what is no code in .penstockignore.",
    )


def _walk(folder: Path, path: str, rules: Rules, skipped: set[str]) -> Iterator[tuple["os.DirEntry[str]", str]]:
    with _reading(path or str(folder)):
        listed = list(os.scandir(folder))
    names = {found.name for found in listed}
    inner = rules.into(folder, path, names) if path else rules
    for found in listed:
        here = f"{path}/{found.name}" if path else found.name
        if found.is_dir(follow_symlinks=False):
            if not inner.ignores(here, True) and os.path.realpath(found.path) not in skipped:
                below = Path(found.path)
                if not is_environment({name for name in ("pyvenv.cfg", "conda-meta") if (below / name).exists()}):
                    yield from _walk(below, here, inner, skipped)
        elif not inner.ignores(here, False):
            yield found, here


@contextmanager
def _reading(path: str) -> Iterator[None]:
    """Turns what the operating system refuses into a CodeError that names the path."""
    try:
        yield
    except OSError as error:
        raise CodeError(
            f"{path} cannot be read, and so cannot be bundled: {error.strerror or error}.",
            code="bundle_unreadable",
            hint="Name it in .penstockignore if it is no part of the code.",
        ) from error


def _head(place: str, path: str) -> bytes:
    with _reading(path), open(place, "rb") as file:
        return file.read(HEAD)


def _is_deployment_file(found: "os.DirEntry[str]", size: int) -> bool:
    if not found.name.endswith((".yaml", ".yml")) or size > _LARGEST_DEPLOYMENT_FILE:
        return False
    lines = Path(found.path).read_bytes().splitlines()
    return all(any(line.startswith(key) for line in lines) for key in _DEPLOYMENT_FILE)


def _link(found: "os.DirEntry[str]", path: str, real_root: str) -> Entry:
    target, here = os.readlink(found.path), os.path.realpath(os.path.dirname(found.path))
    real = os.path.realpath(os.path.join(here, target))
    if real != real_root and not real.startswith(real_root.rstrip("/") + "/"):
        raise CodeError(
            f"The link {path} leads to {target}, out of the folder that is bundled: it would lead nowhere where the run is.",
            code="bundle_link_outside",
            hint="Replace it by what it leads to, or name it in .penstockignore.",
        )
    straight = target if is_straight(target) else os.path.relpath(real, here)
    return Entry(path, 0, link=straight)


def is_straight(target: str) -> bool:
    """Whether a link's target is relative and goes up only where it begins, so that its text shows where it leads."""
    parts = target.split("/")
    ups = next((number for number, part in enumerate(parts) if part != ".."), len(parts))
    return bool(target) and not target.startswith("/") and ".." not in parts[ups:]


def leads_outside(path: str, target: str) -> bool:
    """Whether the link at `path` with a straight target leaves the bundle."""
    place = os.path.normpath(os.path.join(os.path.dirname(path), target))
    return place == ".." or place.startswith("../")


def pack(root: Path, contents: Contents, write: Callable[[bytes], object]) -> str:
    """Write the archive of `contents` of `root` piece by piece; returns its digest. Holds no file in memory.

    Raises CodeError if a file has changed its size since the survey.
    """
    digest = sha256()

    class Sink:
        def write(self, piece: bytes) -> int:
            digest.update(piece)
            write(piece)
            return len(piece)

    # "w|": written from front to back, never sought in
    with tarfile.open(
        fileobj=cast(IO[bytes], Sink()),
        mode="w|",
        format=tarfile.GNU_FORMAT,
        encoding="utf-8",
        errors="surrogateescape",
        bufsize=STEP,
    ) as archive:
        for entry in contents.entries:
            _add(archive, root, entry)
            vars(archive)["members"].clear()  # remembered for an index that nobody asks for
    return f"sha256:{digest.hexdigest()}"


def _add(archive: tarfile.TarFile, root: Path, entry: Entry) -> None:
    member = tarfile.TarInfo(entry.path)
    member.mtime = 0
    if entry.link is not None:
        member.type, member.linkname, member.mode = tarfile.SYMTYPE, entry.link, 0o777
        archive.addfile(member)
        return
    member.size, member.mode = entry.size, 0o755 if entry.executable else 0o644
    with _reading(entry.path), open(root / entry.path, "rb") as file:
        if os.fstat(file.fileno()).st_size != entry.size:
            raise CodeError(
                f"{entry.path} changed while it was packed.",
                code="bundle_changed",
                hint="Build again; name what changes by itself in .penstockignore.",
            )
        archive.addfile(member, file)
