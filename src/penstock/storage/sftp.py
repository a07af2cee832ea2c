"""fsspec's file system of SFTP servers, with what it lacks. Imports paramiko: import this where a file is touched.

What it lacks: connections that are opened again where they were lost, several files at once, keys that stand in the settings,
and servers that are told apart by their key.
"""

import atexit
import errno
import io
import logging
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import paramiko  # type: ignore[import-untyped]
from fsspec.implementations.sftp import SFTPFileSystem  # type: ignore[import-untyped]
from paramiko.hostkeys import HostKeyEntry  # type: ignore[import-untyped]

from penstock.errors import ConfigurationError

#: Seconds that opening a connection may take, and without an answer of the server.
_CONNECT_TIMEOUT = 20
_SILENCE = 60

logger = logging.getLogger(__name__)


class SftpServer(SFTPFileSystem):  # type: ignore[misc]
    """The files of one server, as one user.

    `settings` are those of paramiko's SSHClient.connect, and two more: `private_key`, the text of a key, and `host_key`, the
    server's public key as in a file of known hosts, e.g. "ssh-ed25519 AAAA…". Without `host_key` the machine's known hosts
    count; a server that is in none of them is let pass, with a warning.
    """

    cachable = False  # fsspec would keep one object for each thread that ever was; connections are kept here
    #: Files that may travel at once: each has a channel of its own in one connection. OpenSSH allows ten.
    at_once = 8

    def __init__(self, host: str, **settings: Any) -> None:
        self.settings = settings
        super().__init__(host, **settings)

    def _connect(self) -> None:
        """Nothing: a connection is opened where a file is touched, and again where it was lost."""

    @property
    def client(self) -> Any:
        return self._connection.client

    @client.setter
    def client(self, value: Any) -> None:
        """fsspec's own connection, which is not made."""

    @property
    def ftp(self) -> Any:
        """The channel of this thread. Raises what paramiko does; a lost connection is left, so that the next call opens another."""
        return self._connection.channel()

    @property
    def _connection(self) -> "_Connection":
        key = (os.getpid(), self.host, repr(sorted(self.settings.items())))
        with _lock:
            return _connections.setdefault(key, _Connection(self.host, self.settings))

    def info(self, path: str, **_kwargs: Any) -> dict[str, Any]:
        with self._asking(path):
            return _entry(path, self.ftp.stat(path))

    def ls(self, path: str, detail: bool = True, **_kwargs: Any) -> list[Any]:
        base = path.rstrip("/")
        with self._asking(path):
            listed = [(f"{base}/{told.filename}", told) for told in self.ftp.listdir_attr(path)]
        if not detail:
            return sorted(name for name, _ in listed)
        # of a link, what it leads to counts
        return [self.info(name) if stat.S_ISLNK(told.st_mode) else _entry(name, told) for name, told in listed]

    def find(self, path: str, detail: bool = False, **_kwargs: Any) -> Any:
        """All files below. fsspec's own leaves out the folders that cannot be read."""
        found: dict[str, Any] = {}
        for entry in sorted(self.ls(path), key=lambda entry: str(entry["name"])):
            if entry["type"] == "directory":
                found.update(self.find(entry["name"], detail=True))
            else:
                found[entry["name"]] = entry
        return found if detail else list(found)

    def makedirs(self, path: str, exist_ok: bool = False, mode: int = 0o777) -> None:
        with self._asking(path):
            try:
                self.ftp.stat(path)
                return
            except FileNotFoundError:
                pass
            parent = path.rstrip("/").rpartition("/")[0]
            if parent:
                self.makedirs(parent, exist_ok=True)
            try:
                self.ftp.mkdir(path, mode)
            except OSError:
                self.ftp.stat(path)  # somebody else has made it meanwhile

    def get_file(self, rpath: str, lpath: str, **_kwargs: Any) -> None:
        with self._asking(rpath):
            self.ftp.get(rpath, lpath)

    def put_file(self, lpath: str, rpath: str, **_kwargs: Any) -> None:
        with self._asking(rpath):
            self.ftp.put(lpath, rpath)

    def cat_file(self, path: str, **_kwargs: Any) -> bytes:
        with self._asking(path), self.ftp.open(path, "rb") as file:
            file.prefetch()
            return bytes(file.read())

    def pipe_file(self, path: str, value: bytes, **_kwargs: Any) -> None:
        with self._asking(path):
            self.ftp.putfo(io.BytesIO(value), path)

    def mv(self, path1: str, path2: str, **_kwargs: Any) -> None:
        """Moves a file, in place of another if there is one."""
        with self._asking(path2):
            self.ftp.posix_rename(path1, path2)

    def _rm(self, path: str) -> None:
        with self._asking(path):
            self.ftp.remove(path)

    @contextmanager
    def _asking(self, path: str) -> Iterator[None]:
        """Errors inside, which are about `path`, become Python's own. A connection that was lost is left."""
        try:
            yield
        except (paramiko.AuthenticationException, paramiko.PasswordRequiredException) as error:
            raise PermissionError(f"the server does not take this name and key or password: {error}") from None
        except paramiko.BadHostKeyException as error:
            shown = f"{error.key.get_name()} {error.key.get_base64()}"
            raise PermissionError(
                f"the server shows another key than the one that is known of it; it shows {shown}"
            ) from None
        except FileNotFoundError:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path) from None
        except PermissionError:
            raise PermissionError(errno.EACCES, "the server does not allow it", path) from None
        except (paramiko.SSHException, EOFError) as error:
            self._connection.leave()
            raise ConnectionError(str(error) or "the connection was lost") from error
        except OSError as error:
            if str(error) == "Socket is closed" or isinstance(error, ConnectionError | TimeoutError):
                self._connection.leave()
                raise ConnectionError(str(error)) from error
            raise


class _Connection:
    """One connection, with a channel for each thread that uses it."""

    def __init__(self, host: str, settings: dict[str, Any]) -> None:
        self._host, self._settings = host, settings
        self._lock = threading.Lock()
        self._client: Any = None
        self._channels: dict[threading.Thread, Any] = {}

    @property
    def client(self) -> Any:
        with self._lock:
            return self._open()

    def channel(self) -> Any:
        with self._lock:
            client = self._open()
            for thread in [thread for thread in self._channels if not thread.is_alive()]:
                self._channels.pop(thread).close()
            mine = threading.current_thread()
            if mine not in self._channels:
                channel = client.open_sftp()
                channel.get_channel().settimeout(_SILENCE)
                self._channels[mine] = channel
            return self._channels[mine]

    def leave(self) -> None:
        with self._lock:
            client, self._client = self._client, None
            self._channels.clear()
        if client is not None:
            with suppress(Exception):
                client.close()

    def _open(self) -> Any:
        transport = self._client.get_transport() if self._client is not None else None
        if transport is None or not transport.is_active():
            self._channels.clear()
            self._client = _connect(self._host, self._settings)
        return self._client


def _connect(host: str, settings: dict[str, Any]) -> Any:
    given = {
        "timeout": _CONNECT_TIMEOUT,
        "banner_timeout": _CONNECT_TIMEOUT,
        "auth_timeout": _CONNECT_TIMEOUT,
        **settings,
    }
    port = int(given.get("port") or 22)
    known = given.pop("host_key", None)
    given.pop("host_key_policy", None)
    private_key = given.pop("private_key", None)
    if private_key is not None:
        given["pkey"] = _key(private_key, given.get("passphrase"))
        given = {"look_for_keys": False, "allow_agent": False, **given}
    client = paramiko.SSHClient()
    if known is None:
        client.load_system_host_keys()
        client.set_missing_host_key_policy(_LetPass())
    else:
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        name = host if port == 22 else f"[{host}]:{port}"
        for key in _host_keys(known):
            client.get_host_keys().add(name, key.get_name(), key)
    try:
        client.connect(host, **{**given, "port": port})
    except paramiko.ssh_exception.NoValidConnectionsError as error:
        raise ConnectionError(f"nobody answers at {host}, port {port}") from error
    return client


class _LetPass(paramiko.MissingHostKeyPolicy):  # type: ignore[misc]
    def missing_host_key(self, _client: Any, hostname: str, key: Any) -> None:
        logger.warning(
            "%s is in no file of known hosts, and its key was not compared. Set host_key in settings to: %s %s",
            hostname,
            key.get_name(),
            key.get_base64(),
        )


def _key(text: str, passphrase: str | None) -> Any:
    """The private key. Raises ConfigurationError, which does not tell it."""
    words = "it is none that is known"
    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        try:
            return kind.from_private_key(io.StringIO(text.strip() + "\n"), password=passphrase)
        except paramiko.PasswordRequiredException:
            words = "it is encrypted: give its passphrase too"
        except (paramiko.SSHException, ValueError, TypeError):
            continue
    raise ConfigurationError(f"private_key in settings cannot be used: {words}.", code="invalid_key")


def _host_keys(text: str) -> list[Any]:
    """The keys, one on each line, with or without the name of a host in front. Raises ConfigurationError if one is none."""
    found = []
    for line in filter(None, map(str.strip, text.splitlines())):
        words = line.split()
        kind = next((place for place, word in enumerate(words) if word.startswith(("ssh-", "ecdsa-"))), None)
        entry = None if kind is None else HostKeyEntry.from_line(" ".join(["host", *words[kind : kind + 2]]))
        if entry is None or entry.key is None:
            raise ConfigurationError(
                f"host_key in settings is {line!r}; it has to look like ssh-ed25519 AAAA…", code="invalid_key"
            )
        found.append(entry.key)
    return found


def _entry(path: str, told: Any) -> dict[str, Any]:
    is_folder = stat.S_ISDIR(told.st_mode)
    return {"name": path, "type": "directory" if is_folder else "file", "size": told.st_size}


#: (process, server, settings) -> its connection
_connections: dict[tuple[int, str, str], _Connection] = {}
_lock = threading.Lock()


def _close_all() -> None:
    """Says goodbye to the servers, as far as this process has spoken to them."""
    for key, connection in list(_connections.items()):
        if key[0] == os.getpid():
            connection.leave()


atexit.register(_close_all)
