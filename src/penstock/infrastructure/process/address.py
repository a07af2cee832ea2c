"""Where a launcher is found: one per launcher home, machine, interpreter and engine.

Agents of two virtual environments may share a home: each environment then has its own launcher, and all see the same
jobs.
"""

import fcntl
import hashlib
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from penstock.infrastructure.process import procfs

_BACKLOG = 256


class Address:
    """The files of the launcher in `home` for this interpreter and `engine`, the package that runs flows."""

    def __init__(self, home: Path, engine: str) -> None:
        identity = "\0".join([sys.executable, sys.prefix, procfs.host_id(), engine])
        stem = f"launcher-{hashlib.sha256(identity.encode()).hexdigest()[:8]}"
        self.home = home
        self.engine = engine
        self.socket = home / f"{stem}.sock"
        self.lock = home / f"{stem}.lock"
        self.log = home / f"{stem}.log"

    def take(self) -> int | None:
        """Take the right to be the launcher: a descriptor that holds it until it is closed. None: somebody has it."""
        descriptor = os.open(self.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return descriptor

    def listen(self) -> socket.socket:
        """The launcher's listening socket. Only for who has taken the right to be it."""
        self.socket.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with _short(self.socket) as path:
            listener.bind(path)
        listener.listen(_BACKLOG)
        return listener

    def connect(self) -> socket.socket:
        """A connection to the launcher. Raises OSError if nobody listens."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with _short(self.socket) as path:
                connection.connect(path)
        except BaseException:
            connection.close()
            raise
        return connection


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """Another path to the same file: the address of a socket may not be longer than 107 bytes, a home may."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
