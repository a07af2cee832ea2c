"""What jobs print: streamed to this agent's stdout where wanted, and the end of it kept for the attempt's report."""

import asyncio
import logging
import sys
import threading
from collections import deque
from typing import TextIO

from penstock.agent.ledger import Held
from penstock.model.base import plain

_log = logging.getLogger("penstock.agent.output")

#: Bytes of the end of a job's output that go with the report of its end.
TAIL_BYTES = 64 * 1024
#: Seconds that reading output may take: it must never hold a verdict up.
READ_SECONDS = 20.0
#: Pieces read of one job at one visit, so that one that prints without end starves nobody.
PIECES_PER_VISIT = 8


class Console:
    """Writes to stdout from a thread of its own: a reader that does not read must not stop the agent."""

    #: Pieces that may wait; beyond that the oldest are thrown away and counted.
    MOST_WAITING = 1000

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._waiting: deque[str] = deque()
        self._lost = 0
        self._wake = threading.Condition()
        self._idle = threading.Event()
        self._idle.set()
        self._thread = threading.Thread(target=self._run, name="console", daemon=True)
        self._thread.start()

    def write(self, title: str, text: str) -> None:
        lines = "".join(f"{title} | {line}\n" for line in text.splitlines())
        with self._wake:
            if len(self._waiting) >= self.MOST_WAITING:
                self._waiting.popleft()
                self._lost += 1
            self._waiting.append(lines)
            self._idle.clear()
            self._wake.notify()

    def flush(self, seconds: float) -> None:
        """Wait until everything is written, but not longer than `seconds`."""
        self._idle.wait(seconds)

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._waiting:
                    self._idle.set()
                    self._wake.wait()
                piece = self._waiting.popleft()
                lost, self._lost = self._lost, 0
            try:
                if lost:
                    self._stream.write(f"… {lost} pieces of output were not shown: nobody read fast enough\n")
                self._stream.write(piece)
                self._stream.flush()
            except (OSError, ValueError):
                continue  # nobody reads any more; the output itself is safe with its job


async def stream(held: Held, console: Console) -> None:
    """Show what the job printed since the last visit. Whatever goes wrong is only logged."""
    try:
        async with held.reading, asyncio.timeout(READ_SECONDS):
            for _ in range(PIECES_PER_VISIT):
                text = await _read(held)
                if not text:
                    held.catching_up = False
                    return
                if not held.catching_up:
                    console.write(held.claim.flow_run.name, text)
    except Exception as error:
        _log.debug("The output of %s cannot be read now: %s", held.title, error)


async def tail(held: Held, console: Console) -> str | None:
    """The end of an ended job's output, None if there is none or it cannot be read. Shows what was not shown yet."""
    try:
        async with held.reading, asyncio.timeout(READ_SECONDS):
            while text := await _read(held):
                if held.stream_output and not held.catching_up:
                    console.write(held.claim.flow_run.name, text)
    except Exception as error:
        _log.warning("The output of %s cannot be read: %s", held.title, error or type(error).__name__)
    return clean(held.tail) or None


async def _read(held: Held) -> str:
    """The next piece of the job's output; empty if there is no more now."""
    if held.job is None:
        return ""
    driver, handle = held.job
    piece = await driver.output(handle, held.offset)
    held.offset = piece.offset
    held.tail = (held.tail + piece.text)[-TAIL_BYTES:]
    return piece.text


def clean(text: str) -> str:
    """`text` as every database takes it, cut to `TAIL_BYTES` at its beginning."""
    return plain(text).encode()[-TAIL_BYTES:].decode("utf-8", "ignore")
