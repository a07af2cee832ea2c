"""One stream of events per engine, which only wakes whoever waits: what happened is asked for, never believed from here."""

import asyncio
import contextlib
import json
import random
import socket
import threading
from collections.abc import Callable
from typing import Any

from penstock.errors import PenstockError
from penstock.infrastructure.docker.connection import Engine
from penstock.infrastructure.docker.marks import OWNER_LABEL

#: What may be news of a job: it began, it ended, it is gone.
_ACTIONS = ("start", "die", "destroy", "oom", "pause", "unpause")
#: Seconds of silence after which a stream may be dead: it is opened anew.
SILENCE_SECONDS = 45.0
#: Seconds in which a stream has to open.
_OPEN_SECONDS = 5.0
#: Seconds after an event at which it is news: an engine tells of an end some 30 ms before its list of containers does, and
#: one that is busy seconds before.
_ECHOES = (0.05, 0.4, 3.0)
#: Seconds between two tries to open it: the first, and the longest.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 15.0


class News:
    """Listens in a thread of its own from the first `wait` on. To be used within one event loop, and closed there."""

    def __init__(self, engine: Engine, is_ours: Callable[[str | None], bool]) -> None:
        """`is_ours`: whether an owner's label is one whose containers matter here. Called in the thread."""
        self._engine = engine
        self._is_ours = is_ours
        self._happened = asyncio.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._answer: Any = None
        self._lock = threading.Lock()
        #: How often the stream was opened.
        self.opened = 0

    async def wait(self, timeout: float) -> None:
        """Return when there are news since the last call, or after `timeout` seconds."""
        self.listen()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._happened.wait(), timeout)
        self._happened.clear()

    def listen(self) -> None:
        """Begin to listen, if that has not been done."""
        if self._thread is None and not self._stopped.is_set():
            self._loop = asyncio.get_running_loop()
            self._thread = threading.Thread(target=self._run, name="docker-events", daemon=True)
            self._thread.start()

    async def close(self) -> None:
        """Stop listening, and wait until that is done."""
        self._stopped.set()
        with self._lock:
            answer, thread = self._answer, self._thread
        if answer is not None:
            _hang_up(answer)
        if thread is not None:
            await asyncio.to_thread(thread.join, 2 * _OPEN_SECONDS)

    def _run(self) -> None:
        pause = _FIRST_PAUSE
        while not self._stopped.is_set():
            before = self.opened
            # whatever it is, it has only made us deaf
            with contextlib.suppress(PenstockError, OSError, ValueError, self._engine.APIError):
                self._follow()
            pause = _FIRST_PAUSE if self.opened > before else min(_LONGEST_PAUSE, pause * 2)
            self._stopped.wait(pause * random.uniform(0.5, 1.0))

    def _follow(self) -> None:
        """Pass news on until the stream ends or falls silent."""
        filters = {"type": ["container"], "event": list(_ACTIONS), "label": [OWNER_LABEL]}
        with self._engine.client(_OPEN_SECONDS) as client:
            answer = client.get(
                f"{client.base_url}/v{client.api_version}/events",
                params={"filters": json.dumps(filters)},
                stream=True,
                timeout=_OPEN_SECONDS,
            )
            with contextlib.closing(answer):
                answer.raise_for_status()
                line = _line_of(answer)
                if line is not None:
                    line.settimeout(SILENCE_SECONDS)
                with self._lock:
                    if self._stopped.is_set():
                        return
                    self._answer = answer
                self.opened += 1
                self._tell()  # of what happened while nobody listened
                try:
                    for line in answer.iter_lines(chunk_size=None):
                        if self._stopped.is_set():
                            return
                        if line and self._is_ours(_owner_in(line)):
                            self._tell()
                finally:
                    with self._lock:
                        self._answer = None

    def _tell(self) -> None:
        loop = self._loop
        if loop is not None and not self._stopped.is_set():
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        loop = asyncio.get_running_loop()
        for delay in _ECHOES:
            loop.call_later(delay, self._happened.set)


def _owner_in(line: bytes) -> str | None:
    actor = json.loads(line).get("Actor") or {}
    owner: str | None = (actor.get("Attributes") or {}).get(OWNER_LABEL)
    return owner


def _line_of(answer: Any) -> socket.socket | None:
    """The socket that an answer comes from."""
    connection = getattr(answer.raw, "connection", None) or getattr(answer.raw, "_connection", None)
    line: socket.socket | None = getattr(connection, "sock", None)
    return line


def _hang_up(answer: Any) -> None:
    """End a read that another thread is in: closing alone would wait for it."""
    line = _line_of(answer)
    if line is not None:
        with contextlib.suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)
