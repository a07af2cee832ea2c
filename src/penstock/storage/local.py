"""A folder on this machine, or one that every machine has mounted."""

import os
import tempfile
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, field_validator

from penstock.blocks.extras import holds_reference
from penstock.blocks.references import resolved
from penstock.errors import ConfigurationError
from penstock.model.base import JSONObject
from penstock.model.findings import Finding
from penstock.storage.base import Storage
from penstock.storage.folders import copy_tree, ignored_in
from penstock.storage.ignore import ALWAYS_IGNORED, Ignore

_LET_IN = "Correct the path or its permissions, or check on the machine where the block is used."


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

    def to_document_data(self) -> JSONObject:
        """The fields as JSON. A relative folder becomes the absolute one that it is here and now: elsewhere it would be another."""
        if self._is_relative() and not self._is_from_server():
            self.basepath = str(Path(self.basepath or "").resolve())
        return super().to_document_data()

    def get_directory(self, from_path: str | None = None, local_path: str | None = None) -> int:
        source, target = self._resolve(from_path), Path(local_path or ".").expanduser().resolve()
        if not source.is_dir():
            raise FileNotFoundError(f"There is no folder {source} on this machine.")
        if source == target and self.basepath is None:
            raise ConfigurationError(
                f"{source} would be copied onto itself: neither the block nor the path says where the files are.",
                code="no_basepath",
                hint="Use a block with a basepath, or an absolute path.",
            )
        return copy_tree(source, target, Ignore(ALWAYS_IGNORED), told=f"copied from {source}")

    def put_directory(
        self, local_path: str | None = None, to_path: str | None = None, ignore_file: str | None = None
    ) -> int:
        source = Path(local_path or ".").expanduser().resolve()
        if not source.is_dir():
            raise FileNotFoundError(f"There is no folder {source}.")
        target = self._resolve(to_path)
        return copy_tree(source, target, ignored_in(source, ignore_file), told=f"copied to {target}")

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

    def check(self) -> list[Finding]:
        found = super().check()
        if not all(finding.ok for finding in found):
            return found
        try:
            folder = self._resolve(None)
        except ConfigurationError as error:
            return [*found, Finding("the folder", False, error.message, error.hint or "")]
        tried = f"the folder {folder}"
        if folder.is_dir():
            can = os.access(folder, os.R_OK | os.X_OK)
            return [*found, Finding(tried, can, "can be read" if can else "may not be read", "" if can else _LET_IN)]
        around = next(parent for parent in folder.parents if parent.exists())
        if around.is_dir() and os.access(around, os.W_OK | os.X_OK):
            return [
                *found,
                Finding(tried, True, "is not there on this machine yet; it is made where something is written"),
            ]
        return [*found, Finding(tried, False, f"is not there, and cannot be made in {around}", _LET_IN)]

    def _is_relative(self) -> bool:
        base = self.basepath
        return base is not None and not holds_reference(base) and not Path(base).expanduser().is_absolute()

    def _is_from_server(self) -> bool:
        return self._block_document_id is not None or self._block_document_name is not None

    def _base(self) -> Path:
        """The folder that paths are relative to. Raises ConfigurationError if nobody knows where that is."""
        base = Path(resolved(self).basepath or ".").expanduser()
        if self.basepath is not None and self._is_from_server() and not base.is_absolute():
            raise ConfigurationError(
                f"The storage's folder {str(base)!r} is relative, and it was not saved to what.",
                code="relative_basepath",
                hint=f"Save the block local-file-system/{self._block_document_name} with an absolute basepath.",
            )
        return base.resolve()

    def _resolve(self, path: str | None) -> Path:
        """Where `path` is. Raises ConfigurationError if it leads out of the base, by whatever way."""
        base = self._base()
        target = (base / Path(path).expanduser()).resolve() if path else base
        if self.basepath is not None and not target.is_relative_to(base):
            raise ConfigurationError(
                f"The path {path!r} leads to {target}, out of the storage's folder {base}.",
                code="path_outside_storage",
                hint="Use a path below the folder, or a storage block with another basepath.",
            )
        return target
