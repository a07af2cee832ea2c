"""``python -m penstock.server.zygote SOCKET READY_FD IDLE_SECONDS``: forks servers for tests.

Most of a server's start is loading its code. This process has loaded it, and the empty database with its newest schema;
each server that is asked for is a fork of it, ready after some hundredths of a second. One request is one connection:

    →  one line of JSON, `Request`, with the server's two file descriptors: for its output, and for its base URL
    ←  ``{"pid": N}``, and when that process has ended, ``{"ended": exit code, or minus the signal's number}``

The connection is the server's life: when whoever asked is gone, or closes it, the server is killed and its folder, if it
named one, is removed. The zygote leaves when it was not needed for a while, or is told (``"leave"``), once its servers have
ended; they do not survive it.
"""

import ctypes
import gc
import importlib
import json
import os
import selectors
import shutil
import signal
import socket
import struct
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penstock.clock import monotonic
from penstock.server import __main__ as server
from penstock.server.api import ROUTERS
from penstock.server.database import migrate
from penstock.server.database.connection import Database
from penstock.server.operations.install_defaults import install_defaults

#: Loaded when a server starts; here once for all of them.
_STARTUP = [
    "uvloop",
    "httptools",
    "uvicorn.protocols.http.httptools_impl",
    "uvicorn.lifespan.on",
    "uvicorn.loops.uvloop",
]
#: Seconds in which whoever had a zygote started comes with a request, however short it shall stay without one.
_FIRST_REQUEST = 60.0
#: Bytes of a request: an environment.
_LONGEST = 4_000_000
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Request:
    """What a server is started with. `database`: a SQLite file to make from the template, if it is not there.

    `remove`: a folder to remove when the server has ended because whoever asked is gone.
    """

    arguments: list[str]
    environment: dict[str, str]
    folder: str
    database: str | None = None
    remove: str | None = None


class Born:
    """A server, and the connection of whoever asked for it."""

    def __init__(self, pid: int, connection: socket.socket, asker: int | None, remove: str | None) -> None:
        self.pid, self.connection, self.asker, self.remove = pid, connection, asker, remove
        self.abandoned = False


class Zygote:
    def __init__(self, path: Path, template: bytes, idle_seconds: float) -> None:
        self._path, self._template, self._idle_seconds = path, template, idle_seconds
        self._listener = listen(path)
        self._inode = path.stat().st_ino
        self._born: dict[int, Born] = {}
        self._leaving = False
        self._selector = selectors.DefaultSelector()
        self._wakeup, writing = socket.socketpair()
        self._wakeup.setblocking(False)
        writing.setblocking(False)
        self._writing = writing

    def run(self) -> None:
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._writing.fileno(), warn_on_full_buffer=False)
        self._watch(self._listener, self._accept)
        self._watch(self._wakeup, self._reap)
        needed, idle_seconds = monotonic(), max(self._idle_seconds, _FIRST_REQUEST)
        while not (self._leaving and not self._born):
            if self._born:
                needed, idle_seconds = monotonic(), self._idle_seconds
            elif monotonic() - needed > idle_seconds:
                break
            for key, _ in self._selector.select(timeout=self._idle_seconds / 4):
                key.data()
                needed = monotonic()
        self._leave()

    def _watch(self, what: Any, act: Callable[[], None]) -> None:
        self._selector.register(what, selectors.EVENT_READ, act)

    def _leave(self) -> None:
        """Nobody finds this process any more."""
        if not self._leaving:
            self._leaving = True
            with suppress(OSError):
                if self._path.stat().st_ino == self._inode:  # not that of a later one
                    self._path.unlink()
            self._selector.unregister(self._listener)
            self._listener.close()

    # -- one request -------------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        connection.settimeout(5)
        descriptors: list[int] = []
        try:
            text, descriptors = _receive(connection)
            if text == b"leave\n":
                connection.close()
                self._leave()
                return
            self._bear(Request(**json.loads(text)), connection, descriptors)
        except (OSError, ValueError, TypeError):
            traceback.print_exc()
            connection.close()
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _bear(self, request: Request, connection: socket.socket, descriptors: list[int]) -> None:
        pid = os.fork()
        if pid == 0:
            self._be_the_server(request, descriptors)
        asker = _asker(connection)
        born = self._born[pid] = Born(pid, connection, asker, request.remove)
        self._watch(connection, lambda: self._abandon(born))
        if asker is not None:
            self._watch(asker, lambda: self._abandon(born))
        _tell(connection, {"pid": pid})

    def _be_the_server(self, request: Request, descriptors: list[int]) -> None:
        """In the child: never returns."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _die_with_parent()
            output, announce = descriptors
            os.dup2(output, 1)
            os.dup2(output, 2)
            self._close_all_but(announce)
            os.environ.clear()
            os.environ.update(request.environment)
            time.tzset()
            os.chdir(request.folder)
            if request.database is not None:
                _write_new(Path(request.database), self._template)
            code = server.main([*request.arguments, "--ready-fd", str(announce)])
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)  # what the zygote has loaded needs no taking apart

    def _close_all_but(self, descriptor: int) -> None:
        self._selector.close()
        for opened in (self._listener, self._wakeup, self._writing, *(born.connection for born in self._born.values())):
            opened.close()
        for born in self._born.values():
            if born.asker is not None:
                os.close(born.asker)
        self._born.clear()

    # -- the end of a server -----------------------------------------------------------------------------------------

    def _abandon(self, born: Born) -> None:
        """Nobody needs it any longer: its asker is gone, or has closed the connection."""
        born.abandoned = True
        self._unwatch(born)
        with suppress(ProcessLookupError):
            os.kill(born.pid, signal.SIGKILL)

    def _unwatch(self, born: Born) -> None:
        for what in (born.connection, born.asker):
            if what is not None:
                with suppress(KeyError, ValueError):
                    self._selector.unregister(what)

    def _reap(self) -> None:
        with suppress(BlockingIOError):
            self._wakeup.recv(4096)
        for pid in list(self._born):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found == pid:
                self._ended(self._born.pop(pid), os.waitstatus_to_exitcode(status))

    def _ended(self, born: Born, code: int) -> None:
        self._unwatch(born)
        _tell(born.connection, {"ended": code})
        born.connection.close()
        if born.asker is not None:
            os.close(born.asker)
        if born.abandoned and born.remove is not None:
            shutil.rmtree(born.remove, ignore_errors=True)


def _receive(connection: socket.socket) -> tuple[bytes, list[int]]:
    """The line of a request, and the descriptors that came with it."""
    text, descriptors, _, _ = socket.recv_fds(connection, 65536, 2)
    while not text.endswith(b"\n"):
        piece = connection.recv(65536)
        if not piece or len(text) > _LONGEST:
            raise ValueError("a request that does not end")
        text += piece
    return text, descriptors


def _tell(connection: socket.socket, words: dict[str, int]) -> None:
    with suppress(OSError):
        connection.sendall(json.dumps(words).encode() + b"\n")


def _asker(connection: socket.socket) -> int | None:
    """A descriptor that is readable once the process at the other end is gone: forks of it may keep the connection."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, _, _ = struct.unpack("3i", credentials)
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _write_new(path: Path, content: bytes) -> None:
    """Write the file if there is none."""
    with suppress(FileExistsError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "xb") as file:
            file.write(content)


def template() -> bytes:
    """A SQLite database with the newest schema and what every server has from its first start."""
    with tempfile.TemporaryDirectory(prefix="penstock-template-") as folder:
        file = Path(folder, "template.db")
        migrate.upgrade(f"sqlite:///{file}")
        database = Database(f"sqlite:///{file}")
        try:
            database.submit_write(install_defaults).result()
        finally:
            database.close()
        return file.read_bytes()


def load() -> None:
    """Everything that a server would import, and nothing that starts a thread or opens a file."""
    for name in [*ROUTERS, *_STARTUP]:
        importlib.import_module(name)


def listen(path: Path) -> socket.socket:
    """A socket at `path`, which takes the place of one that is left there."""
    listener = socket.socket(socket.AF_UNIX)
    fresh = f"{path}.{os.getpid()}"
    listener.bind(fresh)
    os.chmod(fresh, 0o600)
    listener.listen(64)
    os.replace(fresh, path)
    return listener


def main(arguments: list[str]) -> int:
    """Fork, and be the zygote in the child. The parent has nothing to wait for: it is told by READY_FD."""
    path, ready, idle_seconds = Path(arguments[0]), int(arguments[1]), float(arguments[2])
    if os.fork() != 0:
        return 0
    load()
    zygote = Zygote(path, template(), idle_seconds)
    gc.collect()
    gc.freeze()
    os.write(ready, b"ready\n")
    os.close(ready)
    zygote.run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
