"""From the archive of a bundle to files in a folder. Nothing is written outside of it, whatever the archive says."""

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from penstock.errors import CodeError
from penstock.storage.bundle_packing import STEP, is_straight, leads_outside


def unpack(archive: BinaryIO, target: Path, below: str | None = None) -> int:
    """Write what the archive holds into the folder `target`, over what is there; returns the number of files and links.

    `below`: only what is in that folder of the bundle, which becomes the top. Raises CodeError for an archive that holds
    anything but files and links within itself, before anything is written; FileNotFoundError if there is nothing below.
    """
    prefix = f"{below.strip('/')}/" if below and below.strip("/.") else ""
    with tarfile.open(fileobj=archive, mode="r:", encoding="utf-8", errors="surrogateescape") as opened:
        members = [member for member in list(checked(opened)) if member.name.startswith(prefix)]
    for folder in sorted({os.path.dirname(member.name[len(prefix) :]) for member in members}):
        os.makedirs(target / folder, exist_ok=True)
    for member in members:
        _write(archive, member, os.path.join(target, member.name[len(prefix) :]))
    if prefix and not members:
        raise FileNotFoundError(f"The bundle has no folder {prefix.rstrip('/')!r}.")
    return len(members)


def checked(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The members of an archive. Raises CodeError at the first that no bundle of ours has."""
    seen: set[str] = set()
    links: set[str] = set()
    for member in archive:
        name = member.name
        parts = name.split("/")
        if not name or name.startswith("/") or "\0" in name or any(part in ("", ".", "..") for part in parts):
            raise _odd(f"the path {name!r}")
        if name in seen:
            raise _odd(f"two members {name!r}")
        if any("/".join(parts[:depth]) in links for depth in range(1, len(parts))):
            raise _odd(f"{name!r}, which lies behind a link")
        if member.issym():
            if not is_straight(member.linkname) or leads_outside(name, member.linkname):
                raise _odd(f"the link {name!r}, which leads to {member.linkname!r}")
            links.add(name)
        elif not member.isreg() or member.issparse():
            raise _odd(f"{name!r}, which is neither file nor link")
        seen.add(name)
        yield member


def _write(archive: BinaryIO, member: tarfile.TarInfo, place: str) -> None:
    """Put one member in its place whole: what is there, a link too, is replaced and never written through."""
    folder, name = os.path.split(place)
    draft = os.path.join(folder, f".{name[:200]}.{os.getpid()}.draft") if os.path.lexists(place) else place
    if member.issym():
        os.symlink(member.linkname, draft)
    else:
        mode = 0o777 if member.mode & 0o100 else 0o666
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        archive.seek(member.offset_data)
        left = member.size
        with open(descriptor, "wb", buffering=0) as file:
            while left:
                piece = archive.read(min(left, STEP))
                if not piece:
                    raise _odd("less than it announces")
                file.write(piece)
                left -= len(piece)
    if draft != place:
        os.replace(draft, place)


def _odd(what: str) -> CodeError:
    return CodeError(
        f"The bundle holds {what}: no bundle that Penstock has packed does, so nothing of it was unpacked.",
        code="bundle_odd",
        hint="Build and apply the deployment anew.",
    )
