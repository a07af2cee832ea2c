"""The storage contract: where flow code and results live.

Paths are relative to the storage's own base and use ``/``. A path that leads out of it is refused with
ConfigurationError before anything is read or written. Every call blocks its thread; async code calls it in one.

* `get_directory` brings a tree here, `put_directory` takes one there: both copy over what is there already and delete
  nothing. They return how many files they copied. Several files travel at once; the log is told how far they are.
* Where the network is at fault, the same is tried again a few times.
* `read_path` raises FileNotFoundError if there is nothing at that path. `write_path` makes folders as needed and leaves
  either the old content or the whole new one, never a part.
"""

from abc import abstractmethod
from typing import ClassVar

from penstock.blocks.base import Block


class Storage(Block):
    """A block that keeps files. See the module for the contract."""

    _block_schema_capabilities: ClassVar[list[str] | None] = [
        "get-directory",
        "put-directory",
        "read-path",
        "write-path",
    ]

    @abstractmethod
    def get_directory(self, from_path: str | None = None, local_path: str | None = None) -> int:
        """Copy the tree at `from_path` (None: all) into the folder `local_path` (None: the current one)."""

    @abstractmethod
    def put_directory(
        self, local_path: str | None = None, to_path: str | None = None, ignore_file: str | None = None
    ) -> int:
        """Copy the folder `local_path` (None: the current one) to `to_path`, without what `ignore_file` names.

        Without `ignore_file`, ``.penstockignore`` in the folder counts, or ``.prefectignore`` where that is missing.
        Raises ConfigurationError if `ignore_file` cannot be read: then nothing was stored.
        """

    @abstractmethod
    def read_path(self, path: str) -> bytes:
        """The content of a file."""

    @abstractmethod
    def write_path(self, path: str, content: bytes) -> str:
        """Write a file; returns the path under which `read_path` finds it."""
