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
#: Bytes of a file that are held at once.
_PIECE = 1024 * 1024

logger = logging.getLogger(__name__)


class SftpServer(SFTPFileSystem):  # type: ignore[misc]
    """The files of one server, as one user.

    `settings` are those of paramiko's SSHClient.connect, and two more: `private_key`, the text of a key, and `host_key`, the
    server's public key as in a file of known hosts, e.g. "ssh-ed25519 AAAA…". Without `host_key` the machine's known hosts
    count; a server that is in none of them is let pass, with a warning.
    """

    cachable = False  # fsspec would keep one object for each thread that ever was; connections are kept here
    #: What may be asked at once: each has a channel of its own in one connection. OpenSSH allows ten.
    at_once = 8

    def __init__(self, host: str, **settings: Any) -> None:
        self.settings = settings
        super().__init__(host, **settings)

    def _connect(self) -> None:
        """Nothing: a connection is opened where a file is touched, and again where it was lost."""

    @property
    def ftp(self) -> Any:
        """A channel for what fsspec opens and leaves open: our own calls have theirs for as long as they take."""
        return self._connection.spare()

    @property
    def _connection(self) -> "_Connection":
        key = (os.getpid(), self.host, repr(sorted(self.settings.items())))
        with _lock:
            return _connections.setdefault(key, _Connection(self.host, self.settings, self.at_once))

    def info(self, path: str, **_kwargs: Any) -> dict[str, Any]:
        with self._asking(path) as ftp:
            return _entry(path, ftp.stat(path))

    def ls(self, path: str, detail: bool = True, **_kwargs: Any) -> list[Any]:
        base = path.rstrip("/")
        with self._asking(path) as ftp:
            listed = [(f"{base}/{told.filename}", told) for told in ftp.listdir_attr(path)]
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
        missing: list[str] = []
        folder = path.rstrip("/")
        with self._asking(path) as ftp:
            while folder and not _is_there(ftp, folder):
                missing.append(folder)
                folder = folder.rpartition("/")[0]
            for folder in reversed(missing):
                try:
                    ftp.mkdir(folder, mode)
                except OSError:
                    ftp.stat(folder)  # somebody else has made it meanwhile; otherwise it is still not there

    def get_file(self, rpath: str, lpath: str, **_kwargs: Any) -> None:
        with self._asking(rpath) as ftp, open(lpath, "wb") as file:
            _read_whole(ftp, rpath, file)

    def put_file(self, lpath: str, rpath: str, **_kwargs: Any) -> None:
        with self._asking(rpath) as ftp:
            ftp.put(lpath, rpath)

    def cat_file(self, path: str, **_kwargs: Any) -> bytes:
        content = io.BytesIO()
        with self._asking(path) as ftp:
            _read_whole(ftp, path, content)
        return content.getvalue()

    def pipe_file(self, path: str, value: bytes, **_kwargs: Any) -> None:
        with self._asking(path) as ftp:
            ftp.putfo(io.BytesIO(value), path)

    def mv(self, path1: str, path2: str, **_kwargs: Any) -> None:
        """Moves a file, in place of another if there is one."""
        with self._asking(path2) as ftp:
            ftp.posix_rename(path1, path2)

    def _rm(self, path: str) -> None:
        with self._asking(path) as ftp:
            ftp.remove(path)

    @contextmanager
    def _asking(self, path: str) -> Iterator[Any]:
        """A channel for the body alone. Errors inside, which are about `path`, become Python's own."""
        try:
            with self._connection.channel() as channel:
                yield channel
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
        except Exception as error:
            if _is_lost(error):
                raise ConnectionError(str(error) or "the connection was lost") from error
            raise


class _Connection:
    """One connection with a few channels, each of which is used for one thing at a time: paramiko mixes up what threads ask."""

    def __init__(self, host: str, settings: dict[str, Any], most: int) -> None:
        self._host, self._settings, self._most = host, settings, most
        self._changed = threading.Condition()
        self._client: Any = None
        self._idle: list[Any] = []
        self._count = 0
        self._spare: Any = None

    @contextmanager
    def channel(self) -> Iterator[Any]:
        """A channel that nobody else uses meanwhile. Waits for one where there are as many as may be. Raises what paramiko does."""
        client, mine = self._take()
        try:
            yield mine
        except Exception as error:
            if _is_lost(error):
                self.leave(client)
            raise
        finally:
            with self._changed:
                if self._client is client:
                    self._idle.append(mine)
                self._changed.notify()

    def spare(self) -> Any:
        """One more channel, for all who ask."""
        with self._changed:
            client = self._opened()
            if self._spare is None:
                self._spare = _channel_of(client)
            return self._spare

    def leave(self, client: Any = None) -> None:
        """Close the connection, unless it is another one than `client` by now."""
        with self._changed:
            if client is not None and client is not self._client:
                return
            client = self._client
            self._forget()
            self._changed.notify_all()
        if client is not None:
            with suppress(Exception):
                client.close()

    def _take(self) -> tuple[Any, Any]:
        with self._changed:
            while True:
                client = self._opened()
                if self._idle:
                    return client, self._idle.pop()
                if self._count < self._most:
                    mine = _channel_of(client)
                    self._count += 1
                    return client, mine
                self._changed.wait()

    def _opened(self) -> Any:
        transport = self._client.get_transport() if self._client is not None else None
        if transport is None or not transport.is_active():
            self._forget()
            self._client = _connect(self._host, self._settings)
        return self._client

    def _forget(self) -> None:
        self._client, self._spare, self._count = None, None, 0
        self._idle.clear()


def _channel_of(client: Any) -> Any:
    channel = client.open_sftp()
    channel.get_channel().settimeout(_SILENCE)
    return channel


def _read_whole(ftp: Any, path: str, target: Any) -> None:
    """Copy a file to `target`. To paramiko the end of the connection is the end of the file: the size tells them apart."""
    size, copied = ftp.stat(path).st_size, 0
    with ftp.open(path, "rb") as file:
        ask = file._prefetch_thread

        def ask_quietly(*chunks: Any) -> None:
            with suppress(EOFError, OSError, paramiko.SSHException):  # who reads meets it too, and tells
                ask(*chunks)

        file._prefetch_thread = ask_quietly
        file.prefetch(size)
        while piece := file.read(_PIECE):
            target.write(piece)
            copied += len(piece)
    if copied != size:
        raise ConnectionError(f"{copied} of {size} bytes of {path} have come")


def _is_lost(error: Exception) -> bool:
    """Whether the connection is of no more use, or never came about."""
    if isinstance(error, paramiko.AuthenticationException | paramiko.BadHostKeyException):
        return False
    return isinstance(error, paramiko.SSHException | EOFError | ConnectionError | TimeoutError) or (
        isinstance(error, OSError) and str(error) == "Socket is closed"
    )


def _is_there(ftp: Any, path: str) -> bool:
    try:
        ftp.stat(path)
    except FileNotFoundError:
        return False
    return True


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
