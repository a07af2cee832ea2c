"""How HTTP reaches an engine behind a socket of this machine or behind ssh: a transport of the SDK's HTTP library.

The SDK's own transports read from ssh without any limit of time and leave sockets open where nobody answers. Here both
are a socket with a limit: that of the engine, or one end of a pair whose other end is ssh's input and output.
"""

import contextlib
import socket
import subprocess
import tempfile
from collections.abc import Callable
from typing import IO, Any
from urllib.parse import urlsplit

import requests.adapters
import urllib3.connection
import urllib3.connectionpool

#: The largest number of idle connections that are kept for one thread.
_KEPT = 2
#: Characters of what ssh has said that an error tells.
_MOST_WORDS = 500

#: Opens a connection, given a limit in seconds for each of its steps, and says how it is hung up.
Dial = Callable[[float | None], tuple[socket.socket, Callable[[], None]]]


class Transport(requests.adapters.HTTPAdapter):
    """Sends every request through connections that `dial` has opened."""

    def __init__(self, dial: Dial) -> None:
        super().__init__()
        self._pool = _Pool(dial)

    def get_connection_with_tls_context(self, *_: Any, **__: Any) -> urllib3.connectionpool.HTTPConnectionPool:
        return self._pool

    def request_url(self, request: Any, proxies: Any) -> str:
        return str(request.path_url)

    def close(self) -> None:
        super().close()
        self._pool.close()


class _Pool(urllib3.connectionpool.HTTPConnectionPool):
    def __init__(self, dial: Dial) -> None:
        super().__init__("engine", maxsize=_KEPT)
        self._dial = dial

    def _new_conn(self) -> "_Connection":
        return _Connection(self._dial)


class _Connection(urllib3.connection.HTTPConnection):
    def __init__(self, dial: Dial) -> None:
        super().__init__("engine")
        self._dial = dial
        self._hang_up: Callable[[], None] | None = None

    def connect(self) -> None:
        limit = self.timeout if isinstance(self.timeout, int | float) else None
        self.sock, self._hang_up = self._dial(limit)

    def close(self) -> None:
        super().close()
        hang_up, self._hang_up = self._hang_up, None
        if hang_up is not None:
            hang_up()


def dial_socket(path: str) -> Dial:
    """Connections to the socket at `path`."""

    def dial(limit: float | None) -> tuple[socket.socket, Callable[[], None]]:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(limit)
            connection.connect(path)
        except BaseException:
            connection.close()
            raise
        return connection, lambda: None

    return dial


class SSH:
    """Connections by the ssh program of this machine, with the user's own keys and configuration.

    On the other side the docker program passes them on to its engine. ssh asks nothing: what it would ask is an error.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._words = ""

    def command(self, limit: float | None) -> list[str]:
        """The arguments of ssh."""
        parts = urlsplit(self._url)
        patience = max(1, int(limit or 30))
        command = ["ssh", "-T", "-o", "BatchMode=yes", "-o", f"ConnectTimeout={patience}"]
        if parts.username:
            command += ["-l", parts.username]
        if parts.port:
            command += ["-p", str(parts.port)]
        other = ["--host", f"unix://{parts.path}"] if parts.path.strip("/") else []
        return [*command, "--", parts.hostname or "", "docker", *other, "system", "dial-stdio"]

    def dial(self, limit: float | None) -> tuple[socket.socket, Callable[[], None]]:
        ours, theirs = socket.socketpair()
        words = tempfile.TemporaryFile()  # noqa: SIM115 (closed when the connection is)
        try:
            with theirs:
                process = subprocess.Popen(
                    self.command(limit),
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    stderr=words,
                    start_new_session=True,
                )
        except BaseException:
            ours.close()
            words.close()
            raise
        ours.settimeout(limit)
        return ours, lambda: self._hang_up(process, words)

    def words(self) -> str:
        """What ssh, or the shell or docker on the other side, has said last."""
        return self._words

    def _hang_up(self, process: "subprocess.Popen[bytes]", words: IO[bytes]) -> None:
        with words:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.2)  # the end of its input ends it
            process.terminate()
            try:
                process.wait(2)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            words.seek(0)
            said = words.read(_MOST_WORDS).decode(errors="replace").strip()
            self._words = said or self._words
