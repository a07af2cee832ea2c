"""Sealed batches on their way to the server, in order: in memory, and on disk beyond a few megabytes."""

import os
from collections import deque
from pathlib import Path

#: Bytes of batches kept in memory before further ones go to disk.
IN_MEMORY = 4_000_000


class Outbox:
    """A queue of byte strings.

    Once one lies on disk, all that follow go there too until it has been emptied, so order holds.

    `folder` is made, readable by its owner only, when it is first needed, and removed when it is empty again. Not
    thread-safe.
    """

    def __init__(self, folder: Path, in_memory: int = IN_MEMORY) -> None:
        self.folder = folder
        self._limit = in_memory
        self._memory: deque[bytes] = deque()
        self._bytes = 0
        self._first_on_disk = 0
        self._next_on_disk = 0

    def __len__(self) -> int:
        return len(self._memory) + self.on_disk

    @property
    def on_disk(self) -> int:
        """How many batches lie on disk."""
        return self._next_on_disk - self._first_on_disk

    def append(self, batch: bytes) -> None:
        if self.on_disk == 0 and (not self._memory or self._bytes + len(batch) <= self._limit):
            self._memory.append(batch)
            self._bytes += len(batch)
            return
        self._write(batch)

    def head(self) -> bytes | None:
        """The oldest batch, which stays where it is; None if there is none."""
        if self._memory:
            return self._memory[0]
        return self._path(self._first_on_disk).read_bytes() if self.on_disk else None

    def pop(self) -> None:
        """Forget the oldest batch: it has arrived."""
        if self._memory:
            self._bytes -= len(self._memory.popleft())
            return
        self._path(self._first_on_disk).unlink(missing_ok=True)
        self._first_on_disk += 1
        if self.on_disk == 0:
            self._first_on_disk = self._next_on_disk = 0
            self._remove_folder()

    def keep(self) -> Path | None:
        """Write everything to disk, because the process ends before it arrived.

        Returns the folder, or None if nothing is left.
        """
        if not len(self):
            return None
        first = self._first_on_disk - len(self._memory)
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for number, batch in enumerate(self._memory, start=first):
            self._store(number, batch)
        return self.folder

    def _write(self, batch: bytes) -> None:
        if self.on_disk == 0:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # What is in memory comes before: leave room for its numbers, should it ever be written too.
            self._first_on_disk = self._next_on_disk = len(self._memory)
        self._store(self._next_on_disk, batch)
        self._next_on_disk += 1

    def _store(self, number: int, batch: bytes) -> None:
        descriptor = os.open(self._path(number), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(batch)

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:012d}.json"

    def _remove_folder(self) -> None:
        try:
            self.folder.rmdir()
        except OSError:
            return
