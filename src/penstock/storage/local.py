"""A folder on this machine, or one that every machine has mounted."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, field_validator

from penstock.blocks.references import resolved
from penstock.errors import ConfigurationError
from penstock.storage.base import Storage
from penstock.storage.ignore import Ignore

#: Left behind whatever the ignore file says: nobody wants them, and they are large.
ALWAYS_IGNORED = ("__pycache__/", ".git/")


class LocalFileSystem(Storage):
    """Keeps files in a folder of the machine that it is used on, or of a network mount."""

    _block_type_name: ClassVar[str | None] = "Local File System"
    _block_type_slug: ClassVar[str | None] = "local-file-system"
    _code_example: ClassVar[str | None] = """
        from penstock.filesystems import LocalFileSystem

        storage = LocalFileSystem.load("BLOCK_NAME")
    """

    basepath: str | None = Field(
        default=None, description="The folder that all paths are relative to; by default the current one."
    )

    @field_validator("basepath", mode="before")
    @classmethod
    def _path_as_text(cls, value: Any) -> Any:
        return os.fspath(value) if isinstance(value, os.PathLike) else value

    def get_directory(self, from_path: str | None = None, local_path: str | None = None) -> int:
        source = self._resolve(from_path)
        if not source.is_dir():
            raise FileNotFoundError(f"There is no folder {source} on this machine.")
        return copy_tree(source, Path(local_path or ".").expanduser().resolve(), Ignore(ALWAYS_IGNORED))

    def put_directory(
        self, local_path: str | None = None, to_path: str | None = None, ignore_file: str | None = None
    ) -> int:
        source = Path(local_path or ".").expanduser().resolve()
        if not source.is_dir():
            raise FileNotFoundError(f"There is no folder {source}.")
        lines = Path(ignore_file).read_text().splitlines() if ignore_file else []
        return copy_tree(source, self._resolve(to_path), Ignore([*ALWAYS_IGNORED, *lines]))

    def read_path(self, path: str) -> bytes:
        return self._resolve(path).read_bytes()

    def write_path(self, path: str, content: bytes) -> str:
        target = self._resolve(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, draft = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            os.replace(draft, target)
        except BaseException:
            os.unlink(draft)
            raise
        return str(target)

    def _resolve(self, path: str | None) -> Path:
        """Where `path` is. Raises ConfigurationError if it leads out of the base, by whatever way."""
        base = Path(resolved(self).basepath or ".").expanduser().resolve()
        target = (base / Path(path).expanduser()).resolve() if path else base
        if self.basepath is not None and not target.is_relative_to(base):
            raise ConfigurationError(
                f"The path {path!r} leads to {target}, out of the storage's folder {base}.",
                code="path_outside_storage",
                hint="Use a path below the folder, or a storage block with another basepath.",
            )
        return target


def copy_tree(source: Path, target: Path, ignore: Ignore) -> int:
    """Copy what is not ignored; returns the number of files. A folder copied onto itself is left alone."""
    if source == target:
        return 0
    copied = 0
    for path in files_below(source, ignore, skip=target):
        place = target / path
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source / path, place)
        copied += 1
    return copied


def files_below(source: Path, ignore: Ignore, skip: Path) -> Iterator[Path]:
    """The files below `source`, relative to it. Not those in `skip`, which may lie within: it is what is being made."""
    for folder, folders, names in os.walk(source):
        here = Path(folder).relative_to(source)
        folders[:] = sorted(
            name
            for name in folders
            if not ignore.ignores((here / name).as_posix(), is_folder=True) and Path(folder, name).resolve() != skip
        )
        for name in sorted(names):
            if not ignore.ignores((here / name).as_posix()):
                yield here / name
