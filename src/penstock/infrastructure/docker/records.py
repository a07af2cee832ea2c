"""The engine's answer to a request for logs, taken apart into records: what was written, when, and by which stream. Pure.

The engine cuts lines of more than 16 kB into parts, each a record of its own. Without a terminal every record has a frame
that names its stream and its length; with one there is only the text, and what tells records apart is their time.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

#: Bytes of the longest part of a line.
PART = 16 * 1024
_BLOCK = 64 * 1024
#: Longest that a time may be with the space behind it, e.g. 2026-11-23T04:59:56.282533056+00:00
_TIME_ROOM = 40
_FRAME = 8


@dataclass(frozen=True)
class Record:
    """`stream` is 1 or 2, or 0 for a terminal; `at` is in nanoseconds since 1970, by the engine's clock."""

    stream: int
    at: int
    data: bytes


def read_records(read: Callable[[int], bytes]) -> Iterator[Record]:
    """The records in what `read(n)` gives, n bytes or what is left at a time. Raises ValueError if it is no log."""
    buffer = bytearray(read(_BLOCK))
    times = _Times()
    framed = bool(buffer) and buffer[0] <= 2
    position = 0
    while True:
        need = (_FRAME + int.from_bytes(buffer[position + 4 : position + 8])) if framed else PART + 2 * _TIME_ROOM
        if len(buffer) - position < max(need, _FRAME):
            if position < len(buffer) or not buffer:
                del buffer[:position]
                position = 0
                more = read(max(_BLOCK, need))
                buffer += more
                if more:
                    continue
            if framed or position >= len(buffer):
                return  # an unfinished frame was cut off on its way: it comes again
        if framed:
            body = bytes(buffer[position + _FRAME : position + need])
            record = _record(buffer[position], body, times)
            position += need
        else:
            record, length = _first_of(bytes(buffer[position : position + PART + 2 * _TIME_ROOM]), times)
            position += length
        if position > 16 * _BLOCK:
            del buffer[:position]
            position = 0
        yield record


def _record(stream: int, body: bytes, times: "_Times") -> Record:
    text, _, data = body.partition(b" ")
    return Record(stream, times.read(text), data)


def _first_of(text: bytes, times: "_Times") -> tuple[Record, int]:
    """The first record of a terminal's log, and its length there."""
    time, space, data = text.partition(b" ")
    end = data.find(b"\n", 0, PART + 1) + 1 or min(PART, len(data))
    said = data[:end]
    return Record(0, times.read(time), said[:-2] + b"\n" if said.endswith(b"\r\n") else said), len(time + space) + end


class _Times:
    """Reads times; those of one second are read once."""

    def __init__(self) -> None:
        self._second, self._at = b"", 0

    def read(self, text: bytes) -> int:
        second, rest = text[:19], text[20:] if text[19:20] == b"." else b""
        digits = rest[: next((index for index, byte in enumerate(rest) if not 48 <= byte <= 57), len(rest))]
        zone = rest[len(digits) :] if rest else text[19:]
        if second + zone != self._second:
            self._at = int(datetime.fromisoformat((second + zone).decode("ascii")).timestamp()) * 10**9
            self._second = second + zone
        return self._at + int(digits.ljust(9, b"0") or 0)
