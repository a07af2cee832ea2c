"""Keep-alive connections to one server, shared by threads: each is used by one request at a time."""

import http.client
import os
import select
import socket
import threading
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from penstock.errors import ConfigurationError

if TYPE_CHECKING:
    import ssl

#: Connections that are kept while nobody uses them.
MOST_IDLE = 16


class Connections:
    """The pool. `origin` is the URL of the API; its path is the prefix of all requests."""

    def __init__(self, api_url: str) -> None:
        try:
            parts = urlsplit(api_url)
            port = parts.port
        except ValueError as error:
            raise ConfigurationError(f"The API's URL {api_url!r} cannot be used: {error}") from None
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ConfigurationError(
                f"The API's URL {api_url!r} cannot be used: it has to look like http://127.0.0.1:4200/api",
                hint="Set PENSTOCK_API_URL.",
            )
        self._host, self._secure = parts.hostname, parts.scheme == "https"
        # Never left to http.client, which takes the last group of an IPv6 address for a port.
        self._port = port or (443 if self._secure else 80)
        self.prefix = parts.path.rstrip("/")
        self._idle: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()
        self._owner = os.getpid()
        self._closed = False

    def take(self, *, fresh: bool = False) -> tuple[http.client.HTTPConnection, bool]:
        """A connection that is the caller's alone, and whether it was used before."""
        while not fresh:
            with self._lock:
                self._forget_the_parents()
                if not self._idle:
                    break
                connection = self._idle.pop()
            if _is_usable(connection):
                return connection, True
            connection.close()
        return self._make(), False

    def give_back(self, connection: http.client.HTTPConnection) -> None:
        """Return a connection whose answer was read to the end and that the server did not close."""
        with self._lock:
            keep = connection.sock is not None and len(self._idle) < MOST_IDLE and not self._closed
            if keep:
                self._idle.append(connection)
        if not keep:
            connection.close()

    def close(self) -> None:
        """Close what is idle; what is in use is closed when it is given back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _make(self) -> http.client.HTTPConnection:
        if self._secure:
            return http.client.HTTPSConnection(self._host, self._port, context=self._tls)
        return http.client.HTTPConnection(self._host, self._port)

    @cached_property
    def _tls(self) -> "ssl.SSLContext":
        import ssl

        return ssl.create_default_context()

    def _forget_the_parents(self) -> None:
        # After a fork both processes hold the same sockets; the child must not write into its parent's conversations.
        if self._owner != os.getpid():
            self._owner = os.getpid()
            for connection in self._idle:
                connection.close()
            self._idle.clear()


def _is_usable(connection: http.client.HTTPConnection) -> bool:
    """Whether the server has kept an idle connection: one that can be read from was closed, or holds unasked bytes."""
    if connection.sock is None:
        return False
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return not poll.poll(0)


def interrupt(connection: http.client.HTTPConnection) -> None:
    """Make the thread that waits on `connection` stop waiting; it gets a connection error."""
    sock = connection.sock
    if sock is not None:
        with suppress(OSError):  # not connected any more
            sock.shutdown(socket.SHUT_RDWR)
