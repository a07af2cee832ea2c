"""The end of the output of pods that are being deleted: their logs go with them, and somebody is about to ask."""

import asyncio
from collections import OrderedDict, deque
from contextlib import suppress

from penstock.errors import NotReachable
from penstock.infrastructure.base import Output
from penstock.infrastructure.kubernetes import output
from penstock.infrastructure.kubernetes.connection import Connection, Refusal

#: Bytes that are kept of each, and how many are kept.
_MOST_BYTES, _MOST_TAILS = 256 * 1024, 200
#: Lines of the log before the stop that are read, seconds of silence after which no more come, and of patience with
#: a node that is to begin, and with the rest once the pod is gone.
_LINES, _SILENCE, _BEGIN, _REST = 2000, 120.0, 5.0, 10.0


class Tails:
    """Kept in memory: another agent does without."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, deque[output.Line]] = OrderedDict()
        self._reading: dict[str, asyncio.Task[None]] = {}

    async def follow(self, job_name: str, connection: Connection, path: str, container: str) -> None:
        """Keep what comes of the log at `path` until its pod is gone. Returns when it is being read, or soon after.

        Who ends the pod before may find its log gone before it was opened.
        """
        if job_name not in self._reading:
            lines: deque[output.Line] = deque()
            self._kept[job_name] = lines
            if len(self._kept) > _MOST_TAILS:
                self._kept.popitem(last=False)
            begun = asyncio.Event()
            self._reading[job_name] = asyncio.create_task(_follow(lines, begun, connection, path, container))
            with suppress(TimeoutError):
                async with asyncio.timeout(_BEGIN):
                    await begun.wait()

    async def complete(self, job_name: str) -> None:
        """The pod is gone: wait for the rest of its output, a moment at most."""
        task = self._reading.pop(job_name, None)
        if task is not None:
            await asyncio.wait({task}, timeout=_REST)
            await _end(task)

    def read(self, job_name: str, since: int) -> Output | None:
        """What is kept of its output after `since`, None if nothing is kept of it."""
        lines = self._kept.get(job_name)
        return None if lines is None else output.read_kept(lines, since)

    def forget(self, job_name: str) -> None:
        self._kept.pop(job_name, None)

    async def close(self) -> None:
        for task in self._reading.values():
            await _end(task)
        self._reading.clear()


async def _follow(
    lines: "deque[output.Line]", begun: asyncio.Event, connection: Connection, path: str, container: str
) -> None:
    query = {"container": container, "timestamps": "true", "follow": "true", "tailLines": str(_LINES)}
    size = 0
    try:
        if not await _has_begun(connection, path, container):
            begun.set()
        async with connection.stream(path, query, _SILENCE) as raw_lines:
            begun.set()
            async for raw in raw_lines:
                line = output.parse(raw)
                if line is not None:
                    lines.append(line)
                    size += len(line[1])
                while size > _MOST_BYTES:
                    size -= len(lines.popleft()[1])
    except (Refusal, NotReachable):
        pass  # it is an addition: what cannot be read is not there
    finally:
        begun.set()


async def _has_begun(connection: Connection, path: str, container: str) -> bool:
    """Whether there is any log yet: a kubelet does not answer who follows one before its first line."""
    async with connection.stream(path, {"container": container, "limitBytes": "1"}, _BEGIN) as lines:
        return bool([line async for line in lines])


async def _end(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
