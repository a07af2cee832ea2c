"""fsspec's file system of SMB shares, with what it lacks. Imports smbprotocol: import this where a file is touched.

What it lacks: sessions of its own (it works as whoever came first to the server), files that are replaced, readers that do
not lock each other out, listings that fail where something fails, and errors that Python knows.
"""

import atexit
import errno
import os
import shutil
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import smbclient  # type: ignore[import-untyped]
from fsspec.implementations.smb import SMBFileSystem  # type: ignore[import-untyped]
from smbprotocol.connection import Connection  # type: ignore[import-untyped]
from smbprotocol.exceptions import LogonFailure, SMBAuthenticationError, SMBException  # type: ignore[import-untyped]

#: Bytes of a file that are on their way at once.
_CHUNK = 1024 * 1024
#: Seconds that a file which is being read may keep another from taking its place.
_IN_USE = 10.0
#: What others may do with a file while it is read: read it, and put another one in its place.
_WHILE_READ = "rd"

#: NT status -> the errno that says the same and its meaning, where smbprotocol has none.
_STATUSES = {
    0xC0000022: (errno.EACCES, "the server does not allow it"),
    0xC00000CC: (errno.ENOENT, "no such share"),
}


class _Pool:
    """Connections of one user to one server. Each is used for one thing at a time: a server says how many requests may be on their
    way in one, and smbprotocol fails where there are more.

    smbclient tells sessions of a connection apart by the user's name alone: from one store for all, who knows the name of a user that
    is in would get that user's session with any password.
    """

    def __init__(self) -> None:
        self.all: list[dict[str, Any]] = []
        self._idle: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    @contextmanager
    def connection(self) -> Iterator[dict[str, Any]]:
        """smbclient's store of connections for the body alone."""
        with self._lock:
            if not self._idle:
                self._idle.append({})
                self.all.append(self._idle[-1])
            mine = self._idle.pop()
        try:
            yield mine
        finally:
            with self._lock:
                self._idle.append(mine)


#: (process, server, port, user, password) -> connections
_pools: dict[tuple[Any, ...], _Pool] = {}
_lock = threading.Lock()


class SMBShares(SMBFileSystem):  # type: ignore[misc]
    """The shares of one server, as one user. Paths are /share/folder/file."""

    cachable = False  # fsspec would keep one object for each thread that ever was; connections are kept here
    #: Files that may travel at once.
    at_once = 8

    def _connect(self) -> None:
        """Nothing: a connection is opened where a file is touched, and again where it was lost."""

    def info(self, path: str, **_kwargs: Any) -> dict[str, Any]:
        with self._session(path) as session:
            found = smbclient.stat(self._unc(path), **session)
        return _entry(path, stat.S_ISDIR(found.st_mode), found.st_size)

    def ls(self, path: str, detail: bool = True, **_kwargs: Any) -> list[Any]:
        base = path.rstrip("/")
        with self._session(path) as session:
            listed = [
                (f"{base}/{entry.name}", entry.smb_info) for entry in smbclient.scandir(self._unc(path), **session)
            ]
        if not detail:
            return [name for name, _ in listed]
        return [
            self.info(name)  # a link: what it leads to counts
            if told.file_attributes & stat.FILE_ATTRIBUTE_REPARSE_POINT
            else _entry(name, bool(told.file_attributes & stat.FILE_ATTRIBUTE_DIRECTORY), told.end_of_file)
            for name, told in listed
        ]

    def find(self, path: str, detail: bool = False, **_kwargs: Any) -> Any:
        """All files below. fsspec's own leaves out the folders that cannot be read."""
        found: dict[str, Any] = {}
        for entry in sorted(self.ls(path), key=lambda entry: str(entry["name"])):
            if entry["type"] == "directory":
                found.update(self.find(entry["name"], detail=True))
            else:
                found[entry["name"]] = entry
        return found if detail else list(found)

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        if path.strip("/").count("/"):  # a share is not made
            with self._session(path) as session:
                smbclient.makedirs(self._unc(path), exist_ok=exist_ok, **session)

    def mv(self, path1: str, path2: str, **_kwargs: Any) -> None:
        """Moves a file, in place of another if there is one; of one that is being read, when it is not any more."""
        deadline = time.monotonic() + _IN_USE
        while True:
            try:
                with self._session(path2) as session:
                    smbclient.replace(self._unc(path1), self._unc(path2), **session)
                return
            except PermissionError:  # all that a server says of a file that is open; writing as such was allowed
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.1)

    def get_file(self, rpath: str, lpath: str, **_kwargs: Any) -> None:
        with self._file(rpath, "rb") as source, open(lpath, "wb") as target:
            shutil.copyfileobj(source, target, _CHUNK)

    def put_file(self, lpath: str, rpath: str, **_kwargs: Any) -> None:
        with open(lpath, "rb") as source, self._file(rpath, "wb") as target:
            shutil.copyfileobj(source, target, _CHUNK)

    def cat_file(self, path: str, **_kwargs: Any) -> bytes:
        with self._file(path, "rb") as file:
            return bytes(file.read())

    def pipe_file(self, path: str, value: bytes, **_kwargs: Any) -> None:
        with self._file(path, "wb") as file:
            file.write(value)

    def _rm(self, path: str) -> None:
        with self._session(path) as session:
            smbclient.remove(self._unc(path), **session)

    def _open(self, path: str, mode: str = "rb", **_kwargs: Any) -> Any:
        with self._session(path) as session:
            return smbclient.open_file(self._unc(path), mode, share_access=_sharing(mode), **session)

    @contextmanager
    def _file(self, path: str, mode: str) -> Iterator[Any]:
        """The open file, alone in its connection."""
        with (
            self._session(path) as session,
            smbclient.open_file(self._unc(path), mode, share_access=_sharing(mode), **session) as file,
        ):
            yield file

    def _unc(self, path: str) -> str:
        return f"\\\\{self.host}" + path.replace("/", "\\")

    @contextmanager
    def _session(self, path: str) -> Iterator[dict[str, Any]]:
        """The arguments that make smbclient work as this user. Errors inside, which are about `path`, become Python's own."""
        key = (os.getpid(), self.host, self._port, self.username, self.password)
        with _lock:
            pool = _pools.setdefault(key, _Pool())
        with pool.connection() as connections:
            session = {
                "username": self.username,
                "password": self.password,
                "port": self._port,
                "encrypt": self.encrypt,
                "connection_timeout": self.timeout,
                "connection_cache": connections,
            }
            try:
                self._register(session)
                yield session
            except (LogonFailure, SMBAuthenticationError) as error:
                raise PermissionError(f"the server does not take this name and password: {error}") from None
            except (SMBException, OSError) as error:
                told = _as_python(error)
                share = path.strip("/").partition("/")[0]
                if isinstance(told, FileNotFoundError) and not self._has(share, session):
                    told = FileNotFoundError(f"the server has no share {share!r}, or none for this user")
                raise told from None

    def _has(self, share: str, session: dict[str, Any]) -> bool:
        """Whether the share is there. A server that knows DFS says of one that is missing what it says of a missing file."""
        try:
            smbclient.stat(self._unc(f"/{share}"), **session)
        except (SMBException, OSError):
            return False
        return True

    def _register(self, session: dict[str, Any]) -> None:
        try:
            self._connect_as_new_client(session["connection_cache"])
            smbclient.register_session(self.host, **session)
        except (LogonFailure, SMBAuthenticationError):
            raise  # one that is tried often enough locks the user out
        except (SMBException, OSError, ValueError) as error:  # ValueError: nobody answers at that address
            raise ConnectionError(str(error)) from error

    def _connect_as_new_client(self, connections: dict[str, Any]) -> None:
        """Open the connection, unless it is open, under an id of its own.

        smbclient's have one id in common, by which Samba hands them all to one process of its own: what one of them was asked while
        another was handed over stayed without an answer.
        """
        key = f"{self.host.lower()}:{self._port}"
        known = connections.get(key)
        if known is None or not known.transport.connected:
            connection = Connection(uuid4(), self.host, self._port)
            connection.connect(timeout=self.timeout)
            connections[key] = connection


def _sharing(mode: str) -> str | None:
    return _WHILE_READ if mode == "rb" else None


def _entry(path: str, is_folder: bool, size: int) -> dict[str, Any]:
    return {"name": path, "type": "directory" if is_folder else "file", "size": size}


def _as_python(error: Exception) -> Exception:
    """OSError chooses FileNotFoundError and its like by the number."""
    status = getattr(error, "ntstatus", getattr(error, "status", None))
    if status in _STATUSES:
        return OSError(*_STATUSES[status])
    number = getattr(error, "errno", None)
    return OSError(number, os.strerror(number)) if number else error


def _close_all() -> None:
    """Says goodbye to the servers, as far as this process has spoken to them."""
    for key, pool in list(_pools.items()):
        if key[0] == os.getpid():
            for connections in pool.all:
                smbclient.reset_connection_cache(fail_on_error=False, connection_cache=connections)


atexit.register(_close_all)
