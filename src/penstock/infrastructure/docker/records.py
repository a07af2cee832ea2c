"""The engine's answer to a request for logs, taken apart into records: what was written, when, and by which stream. Pure.

The engine cuts lines of more than 16 kB into parts, each a record of its own. Without a terminal every record has a frame
that names its stream and its length; with one there is only the text, and what tells records apart is their time.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import NamedTuple

#: Bytes of the longest part of a line.
PART = 16 * 1024
_BLOCK = 64 * 1024
#: Longest that a time may be with the space behind it, e.g. 2026-11-23T04:59:56.282533056+00:00
_TIME_ROOM = 40
#: Bytes of a frame's head: the stream, three of nothing, and four of length.
_HEAD = 8


class Record(NamedTuple):
    """`stream` is 1 or 2, or 0 for a terminal; `at` is in nanoseconds since 1970, by the engine's clock."""

    stream: int
    at: int
    data: bytes


def read_records(read: Callable[[int], bytes]) -> Iterator[Record]:
    """The records in what `read(n)` gives, n bytes or what is left at a time. Raises ValueError if it is no log.

    A record that is cut off is none: it comes again.
    """
    first = read(_BLOCK)
    return _framed(first, read) if first[:1] <= b"\x02" else _of_terminal(first, read)


def _framed(buffer: bytes, read: Callable[[int], bytes]) -> Iterator[Record]:
    times, position = _Times(), 0
    while True:
        body = position + _HEAD
        end = body + int.from_bytes(buffer[position + 4 : body], "big")
        if body > len(buffer) or end > len(buffer):
            more = read(max(_BLOCK, end - len(buffer)))
            if not more:
                return
            buffer, position = buffer[position:] + more, 0
            continue
        time, _, data = buffer[body:end].partition(b" ")
        yield Record(buffer[position], times.read(time), data)
        position = end


def _of_terminal(buffer: bytes, read: Callable[[int], bytes]) -> Iterator[Record]:
    times, position, at_end = _Times(), 0, False
    while True:
        if not at_end and len(buffer) - position < PART + 2 * _TIME_ROOM:
            more = read(_BLOCK)
            buffer, position, at_end = buffer[position:] + more, 0, not more
            continue
        if position >= len(buffer):
            return
        time, space, data = buffer[position : position + PART + 2 * _TIME_ROOM].partition(b" ")
        length = data.find(b"\n", 0, PART + 2) + 1 or min(PART, len(data))
        said = data[:length]
        yield Record(0, times.read(time), said[:-2] + b"\n" if said.endswith(b"\r\n") else said)
        position += len(time + space) + length


class _Times:
    """Reads times; those of one second are read once."""

    def __init__(self) -> None:
        self._second, self._zone, self._at = b"", b"", 0

    def read(self, text: bytes) -> int:
        if text[:19] != self._second or len(text) != 30 or text[29:] != b"Z" or self._zone != b"Z":
            return self._read(text)
        return self._at + int(text[20:29])

    def _read(self, text: bytes) -> int:
        """Any number of digits, any zone."""
        rest = text[20:] if text[19:20] == b"." else b""
        digits = rest[: next((index for index, byte in enumerate(rest) if not 48 <= byte <= 57), len(rest))]
        zone = rest[len(digits) :] if rest else text[19:]
        self._second, self._zone = text[:19], zone
        self._at = int(datetime.fromisoformat((self._second + zone).decode("ascii")).timestamp()) * 10**9
        return self._at + int(digits[:9].ljust(9, b"0") or 0)
