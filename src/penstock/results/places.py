"""Where results are written: a storage block, or a folder of this machine."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from penstock import settings
from penstock.blocks.base import Block
from penstock.blocks.documents import save_anonymous
from penstock.blocks.references import resolved
from penstock.errors import ConfigurationError, PenstockError, ResultError
from penstock.storage.local import LocalFileSystem


@dataclass(frozen=True)
class Place:
    """`block_id` is the document under which others find the storage; None: a folder of this machine."""

    storage: Any
    block_id: UUID | None

    def write(self, key: str, content: bytes) -> str:
        """Write a file; returns the key under which it is found. Raises ResultError."""
        try:
            found = resolved(self.storage).write_path(key, content)
        except PenstockError:
            raise
        except Exception as error:
            raise ResultError(f"The result could not be written to {self}: {type(error).__name__}: {error}") from error
        # A block of a user's own need not tell where it wrote.
        return found if isinstance(found, str) else key

    def __str__(self) -> str:
        if self.block_id is None:
            return f"the folder {self.storage.basepath}"
        name = self.storage._block_document_name
        return f"the block {self.storage.get_block_type_slug()}/{name or self.block_id}"


def default_folder() -> Path:
    """Where results go if nothing else is said."""
    path = settings.get("PENSTOCK_LOCAL_STORAGE_PATH")
    return (Path(path).expanduser() if path else settings.home() / "storage").resolve()


def check_storage(given: Any, option: str = "result_storage") -> None:
    """Raises ConfigurationError unless `given` may be a storage of results; whether a named one exists is not asked."""
    if given is None or (isinstance(given, str) and given.count("/") == 1 and all(given.split("/"))):
        return
    if isinstance(given, str):
        raise ConfigurationError(
            f"{option} is {given!r}; it must name the block with its type",
            hint="Write TYPE-SLUG/NAME, such as 'local-file-system/results'; `penstock block ls` lists what there is.",
        )
    if not isinstance(given, Block) or not (hasattr(given, "read_path") and hasattr(given, "write_path")):
        what = f"the class {given.__name__}" if isinstance(given, type) else f"a {type(given).__name__}"
        raise ConfigurationError(
            f"{option} is {what}; it must be a storage block or the name of one",
            hint="Such as LocalFileSystem(basepath='/data/results'), or 'local-file-system/results'.",
        )


def find_place(given: Any) -> Place:
    """The place that a `result_storage` means; None: that of the settings. Blocks.

    A block that was never saved is saved as an anonymous one, once, so that others can read what is written there; a folder
    of this machine need not be. Raises ConfigurationError, NotFound with the nearest name, and what the client raises.
    """
    check_storage(given)
    if given is None:
        setting = "PENSTOCK_DEFAULT_RESULT_STORAGE_BLOCK"
        given = settings.get(setting)
        if given is None:
            return Place(LocalFileSystem(basepath=str(default_folder())), None)
        check_storage(given, setting)
    storage = Block.load(given) if isinstance(given, str) else given
    check_storage(storage)
    if storage._block_document_id is not None:
        return Place(storage, storage._block_document_id)
    if type(storage) is LocalFileSystem:
        return Place(
            LocalFileSystem(basepath=str(Path(resolved(storage).basepath or ".").expanduser().resolve())), None
        )
    return Place(storage, save_anonymous(storage))
