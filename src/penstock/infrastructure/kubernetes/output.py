"""A pod's log, piece by piece: whole lines, each once, to be resumed from one number.

The log is asked for with the time of each line. An offset is the time of the last line that was given, in nanoseconds,
and how many lines with that very time were given: times do not always rise, because stdout and stderr are stamped
apart, so the place is found by that line and not by its time alone.
"""

import re
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime

from penstock.infrastructure.base import Output

#: Most bytes that one call returns, and of one line: what is longer is cut.
MOST = 256 * 1024
#: An offset is nanoseconds times this, plus the number of lines with that time.
_SAME_TIME = 1_000_000
_SECOND = 1_000_000_000
#: How far before the place to go on from the log is asked for: farther than times may run backwards.
_BACK = 2 * _SECOND
#: Bytes after which container runtimes cut a line in parts, each of which some kubelets give the time.
_PART = 16384
_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d) ")

Line = tuple[int, bytes]


def query_since(since: int) -> dict[str, str]:
    """What a log is asked for, to go on from offset `since`."""
    query = {"timestamps": "true"}
    if since:
        moment = max(since // _SAME_TIME - _BACK, 0) // _SECOND
        query["sinceTime"] = datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return query


def parse(raw: bytes) -> Line | None:
    """The time and the text of a line, with its end if it has one. None: it is no line of the log.

    A kubelet that cannot read on says so where the log would be, without a time.
    """
    found = _STAMP.match(raw)
    if found is None:
        return None
    return _nanoseconds(found), _joined(raw[found.end() :])


async def read(lines: AsyncIterator[bytes], since: int, ended: bool, most: int = MOST) -> Output:
    """The lines after offset `since`. A last line without an end is held back until the job has `ended`."""
    reader = _Reader(since, most)
    async for raw in lines:
        line = parse(raw)
        if line is not None and (ended or line[1].endswith(b"\n")) and reader.take(line):
            break
    return reader.output()


def read_kept(lines: Iterable[Line], since: int, most: int = MOST) -> Output:
    """The same of lines that were kept."""
    reader = _Reader(since, most)
    for line in lines:
        if reader.take(line):
            break
    return reader.output()


class _Reader:
    def __init__(self, since: int, most: int) -> None:
        self._since, self._most = since, most
        self._mark, self._count = divmod(since, _SAME_TIME)
        self._found = since == 0
        #: lines that may be new: whether they are is known once the mark was met, or cannot come any more
        self._pending: list[Line] = []
        self._lines: list[Line] = []
        #: how many lines with each time there were so far, given before or now
        self._times: Counter[int] = Counter()
        self._size = 0

    def take(self, line: Line) -> bool:
        """Take the next line of the log; True: that is enough."""
        if self._found:
            return self._give(line)
        if line[0] <= self._mark:
            self._times[line[0]] += 1
        if line[0] == self._mark:
            if self._times[self._mark] == self._count:
                self._times.update(moment for moment, _ in self._pending)
                self._found = True
                self._pending.clear()
        elif line[0] > self._mark:
            self._pending.append(line)
            if line[0] > self._mark + _SECOND:
                return self._go_on()  # the line of the mark is not there any more
        return False

    def output(self) -> Output:
        if not self._found:
            self._go_on()
        if not self._lines:
            return Output("", self._since)
        last = self._lines[-1][0]
        text = b"".join(text for _, text in self._lines).decode(errors="replace")
        return Output(text, last * _SAME_TIME + self._times[last])

    def _go_on(self) -> bool:
        self._found = True
        pending, self._pending = self._pending, []
        for line in pending:
            self._give(line)
        return self._size >= self._most

    def _give(self, line: Line) -> bool:
        if self._size >= self._most:
            return True
        self._times[line[0]] += 1
        self._lines.append((line[0], _cut(line[1], self._most)))
        self._size += len(line[1])
        return self._size >= self._most


def _cut(text: bytes, most: int) -> bytes:
    if len(text) <= most:
        return text
    return text[:most] + f" … {len(text) - most} bytes of this line are left out\n".encode()


def _joined(text: bytes) -> bytes:
    """A long line without the times that some kubelets put between its parts."""
    if len(text) <= _PART:
        return text
    parts, rest = [], text
    while len(rest) > _PART and (stamp := _STAMP.match(rest, _PART)):
        parts.append(rest[:_PART])
        rest = rest[stamp.end() :]
    return b"".join([*parts, rest])


def _nanoseconds(stamp: re.Match[bytes]) -> int:
    moment = datetime.fromisoformat(stamp[1].decode() + stamp[3].decode().replace("Z", "+00:00"))
    return int(moment.timestamp()) * _SECOND + int((stamp[2] or b"").ljust(9, b"0"))
