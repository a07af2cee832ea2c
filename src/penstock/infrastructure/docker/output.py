"""What a container wrote, piece by piece, each record once, whoever asks and however often the line to the engine breaks.

An offset is a time and a number: of all records that were written at that time or after it, so many have been read. The
engine's log only grows, so the number means the same to everybody who has nothing but the offset. The time lies a second
behind the last record: what stdout and stderr write at once may come into the log in another order than its times say.
"""

import contextlib
import email.utils
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock import clock
from penstock.errors import JobNotFound
from penstock.infrastructure.base import Output
from penstock.infrastructure.docker.records import PART, Record, read_records

if TYPE_CHECKING:
    from docker import APIClient

#: Most bytes that one call returns, beyond its last record.
MOST = 256 * 1024
#: Records may come into the log that many milliseconds out of order.
DISORDER_MS = 1000
_COUNT_BITS = 22
#: How many records from the end of the log are asked for first, and what next if that does not reach far enough. The
#: engine reads a log from its end as quickly as it is short, and from a time on only by reading all that is before it.
_TAILS = (256, 4096, 32768)
#: A header of engines that, reading from the end, write parts of lines into each other.
_PODMAN = "Libpod-Api-Version"
#: Statuses by which an engine says that there is no such container, or none any more.
_GONE = frozenset({404, 409})


@dataclass(frozen=True)
class Mark:
    """An offset: `seen` of the records that were written at `since`, in milliseconds since 1970, or later were read."""

    since: int = 0
    seen: int = 0

    @classmethod
    def read(cls, offset: int) -> "Mark":
        return cls(offset >> _COUNT_BITS, offset & ((1 << _COUNT_BITS) - 1))

    @property
    def offset(self) -> int:
        return (self.since << _COUNT_BITS) + self.seen


class Pieces:
    """Makes pieces of whole lines out of records, from `mark` on. Parts of a line belong together, stream by stream."""

    def __init__(self, records: Iterator[Record], mark: Mark) -> None:
        self.mark = mark
        self._records = records
        self._skip = mark.seen
        #: how many of the records that have been read and may yet be counted were written in which millisecond
        self._read: Counter[int] = Counter()
        #: records that wait for the rest of a line
        self._held: list[Record] = []
        #: Whether everything there is has been read.
        self.at_end = False

    def next(self, *, ended: bool, now: int, most: int = MOST) -> bytes:
        """The next piece; empty if there is none now. `now` is the engine's time in milliseconds.

        A line longer than `most` comes in parts. What is left of a line at the end comes if the container has `ended`.
        """
        size = sum(len(record.data) for record in self._held)
        whole = 0
        lines = _Lines(self._held)
        while size < most:
            record = next(self._records, None)
            if record is None:
                self.at_end = True
                break
            written = record.at // 10**6
            if written < self.mark.since:
                continue
            if self._skip:
                self._skip -= 1
                self._read[written] += 1
                continue
            self._held.append(record)
            size += len(record.data)
            if lines.add(record):
                whole = len(self._held)
        if (not whole and size >= most) or (self.at_end and ended):
            whole = len(self._held)
        taken, self._held = self._held[:whole], self._held[whole:]
        self._read.update(record.at // 10**6 for record in taken)
        if self._read:
            self._advance(now)
        return joined(taken)

    def _advance(self, now: int) -> None:
        newest = max(self._read)
        settled = self.at_end and not self._held and now - newest > DISORDER_MS
        since = max(self.mark.since, newest if settled else newest - DISORDER_MS)
        for written in [each for each in self._read if each < since]:
            del self._read[written]
        # what is told as time and number has to be less than the number's room
        self.mark = Mark(since, min(self._read.total(), (1 << _COUNT_BITS) - 1))

    @property
    def holds_back(self) -> bool:
        """Whether all that is left is the beginning of a line."""
        return self.at_end and bool(self._held)


class _Lines:
    """Whether lines are whole, stream by stream."""

    def __init__(self, held: list[Record]) -> None:
        self._open: set[int] = set()
        for record in held:
            self.add(record)

    def add(self, record: Record) -> bool:
        """Whether all lines are whole with this record."""
        if record.data.endswith(b"\n"):
            self._open.discard(record.stream)
        else:
            self._open.add(record.stream)
        return not self._open


def joined(records: list[Record]) -> bytes:
    """The text of records: each line where its last part stands. The engine's `local` log forgets the end of a line that
    came in parts; it is put back where the next one begins."""
    parts: dict[int, list[Record]] = {}
    text: list[bytes] = []
    for record in records:
        begun = parts.setdefault(record.stream, [])
        if len(begun) > 1 and begun[-1].at == begun[-2].at != record.at and len(begun[-1].data) < PART:
            text += [part.data for part in begun] + [b"\n"]
            begun.clear()
        begun.append(record)
        if record.data.endswith(b"\n"):
            text += [part.data for part in begun]
            begun.clear()
    return b"".join(text + [part.data for begun in parts.values() for part in begun])


class Reader:
    """One answer of the engine that is read piece by piece, so that a long log is read once. To be closed."""

    def __init__(self, answer: Any, mark: Mark) -> None:
        self._answer = answer
        self._count = 0
        self._records = self._counted(read_records(answer.raw.read))
        self.pieces = Pieces(self._records, mark)
        said = answer.headers.get("Date")
        self.now = int(email.utils.parsedate_to_datetime(said).timestamp() * 1000) if said else 0

    @property
    def offset(self) -> int:
        """Where the next piece begins."""
        return self.pieces.mark.offset

    def count_all(self) -> int:
        """Read to the end, and say how many records there were."""
        for _ in self._records:
            pass
        return self._count

    def close(self) -> None:
        self._answer.close()

    def _counted(self, records: Iterator[Record]) -> Iterator[Record]:
        for record in records:
            self._count += 1
            yield record


@dataclass(frozen=True)
class Piece:
    """`reader` has the next piece, if there is one. `holds_back`: nothing follows but the beginning of a line."""

    output: Output
    reader: Reader | None = None
    holds_back: bool = False


def read(client: "APIClient", container_id: str, since: int, ended: bool, reader: Reader | None) -> Piece:
    """The piece at offset `since`. `reader` is what the last call gave, if it did.

    Raises JobNotFound, the SDK's errors, those of the line. What cannot be read is said, once, in place of the output.
    """
    if reader is not None:
        return _piece(reader, ended)
    mark = Mark.read(since)
    for tail in _TAILS if mark.since else ():
        answer = _ask(client, container_id, mark, tail)
        if answer.status_code >= 400:
            return Piece(_refused(answer, container_id, since))
        if _PODMAN in answer.headers:
            answer.close()
            break
        with contextlib.closing(Reader(answer, mark)) as short:
            text = short.pieces.next(ended=ended, now=short.now)
            if short.count_all() < tail:
                return Piece(Output(text.decode(errors="replace"), short.offset), None, short.pieces.holds_back)
    answer = _ask(client, container_id, mark, None)
    if answer.status_code >= 400:
        return Piece(_refused(answer, container_id, since))
    return _piece(Reader(answer, mark), ended)


def _piece(reader: Reader, ended: bool) -> Piece:
    try:
        text = reader.pieces.next(ended=ended, now=reader.now)
    except BaseException:
        reader.close()
        raise
    found = Output(text.decode(errors="replace"), reader.offset)
    if reader.pieces.at_end:
        reader.close()
        return Piece(found, None, reader.pieces.holds_back)
    return Piece(found, reader)


def _ask(client: "APIClient", container_id: str, mark: Mark, tail: int | None) -> Any:
    wanted: dict[str, Any] = {"stdout": 1, "stderr": 1, "timestamps": 1, "tail": "all" if tail is None else tail}
    if mark.since:
        # engines differ in whether that very moment is included
        wanted["since"] = f"{(mark.since - 1) // 1000}.{(mark.since - 1) % 1000:03}"
    return client.get(
        f"{client.base_url}/v{client.api_version}/containers/{container_id}/logs",
        params=wanted,
        stream=True,
        timeout=client.timeout,
    )


def _refused(answer: Any, container_id: str, since: int) -> Output:
    """What to show in place of a log that the engine does not give."""
    with answer:
        if answer.status_code in {502, 503, 504}:
            answer.raise_for_status()
        try:
            words = str(answer.json()["message"])
        except (ValueError, KeyError, TypeError):
            words = answer.text[:500]
    if answer.status_code in _GONE:
        raise JobNotFound(f"The container {container_id[:12]} was removed: {words}")
    told = f"Docker cannot show what the container prints: {words}\n"
    return Output(told, 1) if since == 0 else Output("", since)


class Readers:
    """Those that are kept open between two calls, by container. Calls come from several threads."""

    def __init__(self, most: int, seconds: float) -> None:
        """At most so many are kept, each for so many seconds without a call."""
        self._most, self._seconds = most, seconds
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[Reader, float]] = {}

    def take(self, container_id: str, since: int) -> Reader | None:
        """The reader that has the piece at `since`, which is the caller's now."""
        with self._lock:
            reader, _ = self._kept.pop(container_id, (None, 0.0))
        if reader is not None and reader.offset != since:
            reader.close()
            return None
        return reader

    def keep(self, container_id: str, reader: Reader | None) -> None:
        """Keep it for the next call, if there is one."""
        if reader is not None:
            with self._lock:
                before = self._kept.pop(container_id, None)
                self._kept[container_id] = (reader, clock.monotonic() + self._seconds)
            if before is not None:
                before[0].close()
            self.close_idle()

    def close_idle(self) -> None:
        """Close those that nobody has asked for in time, and the oldest if there are too many."""
        now = clock.monotonic()
        with self._lock:
            spare = len(self._kept) - self._most
            old = [each for index, (each, (_, until)) in enumerate(self._kept.items()) if index < spare or until < now]
            closing = [self._kept.pop(each)[0] for each in old]
        for reader in closing:
            reader.close()

    def close(self) -> None:
        with self._lock:
            closing = [reader for reader, _ in self._kept.values()]
            self._kept.clear()
        for reader in closing:
            reader.close()
