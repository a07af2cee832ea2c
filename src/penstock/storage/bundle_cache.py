"""Bundles that this machine has already: archives in PENSTOCK_HOME, each under its digest.

A job gets copies of what is in an archive, so that nothing it does changes the cache. An entry is believed only after its
digest was computed anew. Processes that want the same bundle take turns: one fetches it, the others find it.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from penstock import clock, settings
from penstock.file_locks import locked
from penstock.storage.bundle_packing import STEP

_SUFFIX, _DRAFT = ".tar", ".draft"
#: Seconds after which a file that is being made belongs to nobody any more: its process was killed.
_LOST_SECONDS = 24 * 3600.0


def folder() -> Path:
    """Where the archives lie."""
    return settings.home() / "cache" / "bundles"


@contextmanager
def archive_of(digest: str, fetch: Callable[[Path], None]) -> Iterator[BinaryIO]:
    """The archive of that digest, opened for as long as the block runs. `fetch` writes it to a path if it is not here, or
    damaged.

    Raises what `fetch` raises. Where nothing can be kept (a home that cannot be written to), the archive is fetched to a
    temporary folder and gone after the block.
    """
    with ExitStack() as stack:
        if _can_keep():
            with locked(folder() / f"{_name(digest)[:2]}.lock"):
                kept = _place(digest)
                if not is_whole(kept, digest):
                    with _draft(folder()) as draft:
                        fetch(draft)
                        os.replace(draft, kept)
                os.utime(kept)
                # opened while it is locked: whoever makes room later does not take it away from here
                opened = stack.enter_context(kept.open("rb"))
            make_room()
        else:
            place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="penstock-bundle-")), "archive")
            fetch(place)
            opened = stack.enter_context(place.open("rb"))
        yield opened


def _can_keep() -> bool:
    with suppress(OSError, RuntimeError):  # RuntimeError: nobody knows where the home is
        folder().mkdir(parents=True, exist_ok=True, mode=0o700)
        return os.access(folder(), os.W_OK | os.X_OK)
    return False


def _name(digest: str) -> str:
    return digest.removeprefix("sha256:")


def _place(digest: str) -> Path:
    return folder() / f"{_name(digest)}{_SUFFIX}"


def keep(write: Callable[[Path], str]) -> str:
    """Keep the archive that `write` writes to a path and whose digest it returns. Returns the digest."""
    folder().mkdir(parents=True, exist_ok=True, mode=0o700)
    with _draft(folder()) as draft:
        digest = write(draft)
        os.replace(draft, _place(digest))
    make_room()
    return digest


def find(digest: str) -> Path | None:
    """The archive of that digest, if it is here and whole."""
    kept = _place(digest)
    return kept if is_whole(kept, digest) else None


def is_whole(archive: Path, digest: str) -> bool:
    """Whether the file is there and has that digest."""
    try:
        with archive.open("rb") as file:
            found = sha256()
            while piece := file.read(STEP):
                found.update(piece)
    except OSError:
        return False
    return f"sha256:{found.hexdigest()}" == digest


def make_room() -> None:
    """Remove the archives that were not used for longest while there are more bytes than PENSTOCK_BUNDLE_CACHE_MB.

    The newest stays, however large it is.
    """
    limit = float(settings.get("PENSTOCK_BUNDLE_CACHE_MB")) * 1_000_000
    entries = []
    for path in [*folder().glob(f"*{_SUFFIX}"), *folder().glob(f"*{_DRAFT}")]:
        with suppress(OSError):  # somebody else has made room
            status = path.stat()
            if path.name.endswith(_SUFFIX):
                entries.append((status.st_mtime, status.st_size, path))
            elif clock.now().timestamp() - status.st_mtime > _LOST_SECONDS:
                path.unlink()
    left = sum(size for _, size, _ in entries)
    for _, size, path in sorted(entries)[:-1]:
        if left <= limit:
            return
        path.unlink(missing_ok=True)
        left -= size


@contextmanager
def _draft(place: Path) -> Iterator[Path]:
    """A path for a file that is being made; what is still there at the end is removed."""
    descriptor, name = tempfile.mkstemp(dir=place, suffix=_DRAFT)
    os.close(descriptor)
    try:
        yield Path(name)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(name)
