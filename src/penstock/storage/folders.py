"""Folders of this machine: what of them is stored, and copies of them."""

import logging
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from penstock.errors import ConfigurationError
from penstock.storage.ignore import ALWAYS_IGNORED, IGNORE_FILES, Ignore
from penstock.storage.transfers import Transfer, carry_out

#: Files that are copied at once: a mounted folder answers many faster than one after the other.
_AT_ONCE = 8

logger = logging.getLogger(__name__)


def ignore_file_of(folder: Path) -> Path | None:
    """The file in `folder` that says what of it is not stored: ``.penstockignore``, else ``.prefectignore``, if there is one."""
    return next((folder / name for name in IGNORE_FILES if (folder / name).is_file()), None)


def ignored_in(folder: Path, ignore_file: str | os.PathLike[str] | None = None) -> Ignore:
    """What of `folder` is not stored: what `ignore_file` says, or without one the file that lies in it.

    Raises ConfigurationError if `ignore_file` cannot be read: with nothing left out, secrets would travel.
    """
    found = ignore_file_of(folder) if ignore_file is None else Path(ignore_file).expanduser()
    if found is None:
        return Ignore(ALWAYS_IGNORED)
    try:
        lines = found.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"The ignore file {found} cannot be read: {getattr(error, 'strerror', None) or error}.",
            code="ignore_file",
            hint="Nothing was stored. Correct its name, or give none: .penstockignore in the folder is used then.",
        ) from None
    return Ignore([*ALWAYS_IGNORED, *lines])


def copy_tree(source: Path, target: Path, ignore: Ignore, told: str | None = None) -> int:
    """Copy what is not ignored; returns the number of files. A folder copied onto itself is left alone.

    `told`: what the log calls it, e.g. "copied from /mnt/flows"; None: the log is not told.
    """
    if source == target:
        return 0
    transfers = [
        Transfer(str(source / path), target / path, size_of(source / path))
        for path in files_below(source, ignore, skip=target)
    ]
    carry_out(transfers, _copy, at_once=_AT_ONCE, told=told)
    return len(transfers)


def _copy(transfer: Transfer) -> None:
    shutil.copy2(transfer.source, transfer.target)


def size_of(path: Path) -> int:
    """Bytes of the file."""
    return path.stat().st_size


def files_below(source: Path, ignore: Ignore, skip: Path) -> Iterator[Path]:
    """The files below `source`, relative to it, those that links lead to as well.

    Not those in `skip`, which may lie within: it is what is being made. A link that leads nowhere, or to a folder around itself, and
    what is no file (a socket, a pipe) stay behind; the log says so.
    """
    yield from _below(source, Path(), ignore, skip, (source.resolve(),))


def _below(source: Path, here: Path, ignore: Ignore, skip: Path, around: tuple[Path, ...]) -> Iterator[Path]:
    entries = sorted(os.scandir(source / here), key=lambda entry: entry.name)
    for entry in entries:
        path = here / entry.name
        is_folder = entry.is_dir()
        # Patterns see a link as git does: as a file.
        if ignore.ignores(path.as_posix(), is_folder=is_folder and not entry.is_symlink()):
            continue
        if is_folder:
            real = Path(entry.path).resolve()
            if real == skip:
                continue
            if real in around:
                logger.warning("%s is left out: the link leads to a folder around it.", entry.path)
                continue
            if not ignore.ignores(path.as_posix(), is_folder=True):
                yield from _below(source, path, ignore, skip, (*around, real))
        elif _is_file(entry):
            yield path


def _is_file(entry: "os.DirEntry[str]") -> bool:
    try:
        mode = entry.stat().st_mode
    except FileNotFoundError:
        logger.warning("%s is left out: the link leads nowhere.", entry.path)
        return False
    if not stat.S_ISREG(mode):
        logger.warning("%s is left out: it is no file.", entry.path)
        return False
    return True
