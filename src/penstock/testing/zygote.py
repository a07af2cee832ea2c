"""Servers that are ready at once: forks of a process that has loaded the server's code. See `penstock.server.zygote`.

One zygote for each user, interpreter and installation, under the folder for temporary files. Whoever needs it first starts
it; it leaves by itself, and at once when the code on the disk is no longer what it has loaded.
"""

import hashlib
import json
import os
import select
import signal
import socket
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from penstock.clock import monotonic
from penstock.file_locks import locked
from penstock.infrastructure.process.warmth import stamp
from penstock.infrastructure.variables import READ_AT_START

#: Seconds that a zygote stays without a server.
IDLE_SECONDS = 120.0
#: Seconds that it may take to load everything.
START_SECONDS = 180.0
#: Settings that a zygote is started without: its servers bring their own.
_OURS = "PENSTOCK"


class NoZygote(Exception):
    """There is none here, for the reason given: start a server the long way."""


class ForkedServer:
    """A running server that the zygote has forked. As `penstock.testing.process.Child`, for what servers need of it."""

    def __init__(self, connection: socket.socket, pid: int, log: Path) -> None:
        self._connection, self.pid, self.log = connection, pid, log
        self._end = os.pidfd_open(pid)
        self._returncode: int | None = None

    @property
    def running(self) -> bool:
        return self.returncode is None

    @property
    def returncode(self) -> int | None:
        """Exit code, minus the signal's number if it was killed by one, None while it runs."""
        return self._ended_within(0)

    def terminate(self) -> None:
        """Ask it to end (SIGTERM), without waiting."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it with SIGKILL and wait until it is gone."""
        self._signal(signal.SIGKILL)
        self._ended_within(None)

    def close(self, timeout: float = 5) -> None:
        """SIGTERM, then SIGKILL after `timeout` seconds."""
        self.terminate()
        if self._ended_within(timeout) is None:
            self.kill()

    def _signal(self, number: signal.Signals) -> None:
        if self._returncode is None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._end, number)

    def _ended_within(self, seconds: float | None) -> int | None:
        if self._returncode is None and select.select([self._end], [], [], seconds)[0]:
            self._returncode = self._told_end()
            os.close(self._end)
            self._connection.close()
        return self._returncode

    def _told_end(self) -> int:
        try:
            return int(_read_line(self._connection)["ended"])
        except NoZygote:
            return -signal.SIGKILL  # the zygote was killed, and its servers with it


def fork_server(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    log: Path,
    announce: int,
    *,
    database: Path | None = None,
    remove: Path | None = None,
) -> ForkedServer:
    """Have a server forked: ``python -m penstock.server ARGUMENTS`` in `environment`, its output in `log`.

    Its base URL is written to the descriptor `announce`. `database`: a SQLite file that is made with the newest schema if
    it is not there. `remove`: a folder that is removed should this process end without having ended the server. Raises
    NoZygote.
    """
    _check(environment)
    request = {
        "arguments": list(arguments),
        "environment": dict(environment),
        "folder": os.getcwd(),
        "database": None if database is None else str(database),
        "remove": None if remove is None else str(remove),
    }
    connection = _connection()
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        text = json.dumps(request).encode() + b"\n"
        sent = socket.send_fds(connection, [text], [output, announce])
        connection.sendall(text[sent:])
        return ForkedServer(connection, _read_line(connection)["pid"], log)
    except (OSError, NoZygote) as error:
        connection.close()
        raise NoZygote(f"the zygote did not fork: {error}") from None
    finally:
        os.close(output)


def leave() -> None:
    """Have the zygote leave, if there is one."""
    with suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(_socket()))
        connection.sendall(b"leave\n")


def _check(environment: Mapping[str, str]) -> None:
    """Raises NoZygote where a fork of the zygote would not be what `environment` asks for."""
    if not hasattr(os, "pidfd_open"):
        raise NoZygote("this system has no pidfd_open")
    for name in {*environment, *os.environ}:
        if name.startswith(READ_AT_START) and environment.get(name) != os.environ.get(name):
            raise NoZygote(f"{name} differs, and an interpreter reads it when it starts")


def _connection() -> socket.socket:
    path, now = _socket(), stamp()
    found = _connect(path, now)
    if found is None:
        with locked(path.with_suffix(".lock")):
            # Whoever held the lock before us has most likely started it.
            found = _connect(path, now)
            if found is None:
                leave()
                _start(path, now)
                found = _connect(path, now)
    if found is None:
        raise NoZygote("it does not listen")
    return found


def _connect(path: Path, now: str) -> socket.socket | None:
    try:
        if path.with_suffix(".stamp").read_text() != now:
            return None
    except OSError:
        return None
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(str(path))
    except OSError:
        connection.close()
        return None
    connection.settimeout(START_SECONDS)
    return connection


def _socket() -> Path:
    """Where the zygote of this user, interpreter, installation and way of starting it listens."""
    read_at_start = sorted((name, value) for name, value in os.environ.items() if name.startswith(READ_AT_START))
    what = json.dumps([sys.executable, sys.prefix, __file__, read_at_start])
    folder = Path(tempfile.gettempdir(), f"penstock-zygote-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise NoZygote(f"{folder} belongs to somebody else")
    return folder / f"{hashlib.sha256(what.encode()).hexdigest()[:16]}.sock"


def _start(path: Path, now: str) -> None:
    log = path.with_suffix(".log")
    reading, writing = os.pipe()
    try:
        os.set_inheritable(writing, True)
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-m", "penstock.server.zygote", str(path), str(writing), str(IDLE_SECONDS)],
            {name: value for name, value in os.environ.items() if not name.startswith(_OURS)},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
        )
        os.close(writing)
        writing = -1
        os.waitpid(pid, 0)
        _await_ready(reading, log)
    finally:
        os.close(reading)
        if writing >= 0:
            os.close(writing)
    path.with_suffix(".stamp").write_text(now)


def _await_ready(reading: int, log: Path) -> None:
    deadline = monotonic() + START_SECONDS
    ready, _, _ = select.select([reading], [], [], max(0.0, deadline - monotonic()))
    if not ready or not os.read(reading, 64):
        raise NoZygote(f"it did not start:\n{log.read_text(errors='replace')}")


def _read_line(connection: socket.socket) -> dict[str, int]:
    text = b""
    while not text.endswith(b"\n"):
        try:
            piece = connection.recv(4096)
        except OSError as error:
            raise NoZygote(str(error)) from None
        if not piece:
            raise NoZygote("it is gone")
        text += piece
    found: dict[str, int] = json.loads(text)
    return found
