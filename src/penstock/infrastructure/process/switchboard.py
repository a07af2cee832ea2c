"""The launcher's lines to its drivers: JSON messages, one per line, both ways, without ever waiting for anybody."""

import json
import os
import selectors
import socket
import struct
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

_LONGEST_MESSAGE = 16 * 2**20
_PIECE = 2**18


@dataclass(eq=False)
class Client:
    """One line, and what of it is not read or sent yet."""

    socket: socket.socket
    unread: bytearray = field(default_factory=bytearray)
    unsent: bytearray = field(default_factory=bytearray)


class Switchboard:
    """Takes calls at `listener` from processes of the same user, and gives their messages to `obey`.

    What it registers with `selector` carries, as data, the function to call when it is ready.
    """

    def __init__(
        self,
        selector: selectors.BaseSelector,
        listener: socket.socket,
        obey: Callable[[Client, dict[str, Any]], None],
    ) -> None:
        self._selector, self._listener, self._obey = selector, listener, obey
        self._hidden = False
        self.clients: set[Client] = set()
        selector.register(listener, selectors.EVENT_READ, self._accept)

    def hide(self) -> None:
        """Take no further calls. Lines that are open stay so."""
        self._hidden = True
        self._selector.unregister(self._listener)
        self._listener.close()

    def is_flushed(self) -> bool:
        """Whether every message was sent."""
        return not any(client.unsent for client in self.clients)

    def send(self, client: Client, message: dict[str, Any]) -> None:
        """Send a message, unless the client has hung up."""
        if client in self.clients:
            client.unsent += json.dumps(message).encode() + b"\n"
            self._flush(client)

    def _accept(self) -> None:
        if self._hidden:
            return
        connection, _ = self._listener.accept()
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        if struct.unpack("3i", credentials)[1] != os.getuid():
            connection.close()
            return
        connection.setblocking(False)
        client = Client(connection)
        self.clients.add(client)
        self._selector.register(connection, selectors.EVENT_READ, lambda: self._read(client))

    def _read(self, client: Client) -> None:
        try:
            data = client.socket.recv(_PIECE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(client)
            return
        client.unread += data
        *lines, rest = bytes(client.unread).split(b"\n")
        client.unread = bytearray(rest)
        if len(rest) > _LONGEST_MESSAGE:
            self._drop(client)
        for line in lines:
            try:
                self._obey(client, json.loads(line))
            except Exception:  # one bad message must not end what serves all others
                traceback.print_exc()
                self._drop(client)

    def _flush(self, client: Client) -> None:
        try:
            sent = client.socket.send(client.unsent)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._drop(client)
            return
        del client.unsent[:sent]
        if client.unsent:
            events = selectors.EVENT_READ | selectors.EVENT_WRITE
            self._selector.modify(client.socket, events, lambda: self._exchange(client))
        else:
            self._selector.modify(client.socket, selectors.EVENT_READ, lambda: self._read(client))

    def _exchange(self, client: Client) -> None:
        self._flush(client)
        if client in self.clients:
            self._read(client)

    def _drop(self, client: Client) -> None:
        if client in self.clients:
            self.clients.discard(client)
            self._selector.unregister(client.socket)
            client.socket.close()
