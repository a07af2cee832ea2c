"""Sealed batches on their way to the server, in order: in memory, and on disk beyond a few megabytes."""

import os
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

#: Bytes of batches kept in memory before further ones go to disk.
IN_MEMORY = 8_000_000


@dataclass(slots=True)
class _Batch:
    """`number` names its file; `data` is None while it lies on disk. `beyond`: in memory, but only for want of room."""

    number: int
    size: int
    data: bytes | None
    beyond: bool = False


class Outbox:
    """A queue of byte strings, of which at most `in_memory` bytes are kept in memory and `on_disk` bytes on disk.

    Nothing is ever refused: beyond both limits, and when the disk takes nothing, what is appended stays in memory and
    `full` says that nobody should append more for now. `trouble` is why the disk has taken nothing, if that is so.

    `folder` is made, readable by its owner only, when it is first needed, and removed when it is empty again. Not
    thread-safe.
    """

    def __init__(self, folder: Path, in_memory: int = IN_MEMORY, on_disk: float = float("inf")) -> None:
        self.folder = folder
        self.trouble: OSError | None = None
        self._memory_limit, self._disk_limit = in_memory, on_disk
        self._queue: deque[_Batch] = deque()
        self._in_memory = 0
        self._on_disk = 0
        self._beyond = 0
        self._next = 0

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def bytes_on_disk(self) -> int:
        return self._on_disk

    @property
    def full(self) -> bool:
        return self._beyond > 0

    def append(self, data: bytes) -> None:
        batch = _Batch(self._next, len(data), data)
        self._next += 1
        fits = not self._queue or self._in_memory + batch.size <= self._memory_limit
        if not fits and self._on_disk + batch.size <= self._disk_limit:
            self._spool(batch)
        if batch.data is not None:
            self._in_memory += batch.size
            batch.beyond = not fits
            self._beyond += batch.beyond
        self._queue.append(batch)

    def head(self) -> bytes | None:
        """The oldest batch, which stays where it is; None if there is none.

        Raises OSError if it lies on disk and cannot be read any more.
        """
        if not self._queue:
            return None
        first = self._queue[0]
        return self._path(first).read_bytes() if first.data is None else first.data

    def pop(self) -> None:
        """Forget the oldest batch: it has arrived."""
        first = self._queue.popleft()
        if first.data is not None:
            self._in_memory -= first.size
            self._beyond -= first.beyond
            return
        self._on_disk -= first.size
        self._remove(first)
        if self._on_disk == 0:
            self._remove_folder()

    def keep(self) -> Path | None:
        """Write everything to disk, because the process ends before it arrived.

        Returns the folder, or None if nothing is left. Raises OSError if the disk does not take it.
        """
        if not self._queue:
            return None
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for batch in self._queue:
            if batch.data is not None:
                self._store(batch, batch.data)
        return self.folder

    def _spool(self, batch: _Batch) -> None:
        """Put a batch on disk, if that takes it."""
        assert batch.data is not None
        try:
            if self._on_disk == 0:
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._store(batch, batch.data)
        except OSError as error:
            self.trouble = error
            self._remove(batch)
            return
        self.trouble = None
        self._on_disk += batch.size
        batch.data = None

    def _store(self, batch: _Batch, data: bytes) -> None:
        descriptor = os.open(self._path(batch), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(data)

    def _remove(self, batch: _Batch) -> None:
        with suppress(OSError):
            self._path(batch).unlink()

    def _path(self, batch: _Batch) -> Path:
        return self.folder / f"{batch.number:012d}.json"

    def _remove_folder(self) -> None:
        with suppress(OSError):
            self.folder.rmdir()
