"""Ports that stay somebody's while he does not listen."""

import socket
import sys
from contextlib import suppress


class HeldPort:
    """A port that nobody else is given while it is held, and where connections are refused.

    For who closes a listening socket and wants its port back later: whoever asks the system for any free port meanwhile
    could be given this one. On Linux, who names the port and sets SO_REUSEADDR can listen there nevertheless; where that
    is not so, nothing is held.
    """

    def __init__(self) -> None:
        self._socket: socket.socket | None = None

    def take(self, host: str) -> int:
        """A port that is free, from now on."""
        found = _socket_for(host)
        found.bind((host, 0))
        port: int = found.getsockname()[1]
        if sys.platform == "linux":
            self.release()
            self._socket = found
        else:
            found.close()
        return port

    def hold(self, host: str, port: int) -> None:
        """From now on; a port that somebody else has got by now is his."""
        if sys.platform != "linux" or self._socket is not None or not port:
            return
        self._socket = _socket_for(host)
        with suppress(OSError):
            self._socket.bind((host, port))

    def release(self) -> None:
        """No longer."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _socket_for(host: str) -> socket.socket:
    """One whose port who names it, and says SO_REUSEADDR too, can have."""
    found = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return found
