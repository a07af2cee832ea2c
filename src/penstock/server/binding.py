"""Where the server listens, and what it demands of those who come from there."""

import ipaddress
import secrets
import socket
import sys

from penstock import settings
from penstock.errors import ConfigurationError
from penstock.server.key_sources import write_private

BACKLOG = 2048


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def bind(host: str, port: int) -> socket.socket:
    """A socket that is bound to `host` and `port` (0: a free one). Raises ConfigurationError that says what to do."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise ConfigurationError(
            f"Cannot listen on {host} port {port}: {error.strerror}",
            code="cannot_listen",
            hint="Another server may be there. Choose another port with --port or PENSTOCK_SERVER_API_PORT.",
        ) from None
    sock.set_inheritable(False)
    return sock


def base_url(host: str, sock: socket.socket) -> str:
    """The URL under which clients on this machine reach the server, without a path."""
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://{f'[{name}]' if ':' in name else name}:{sock.getsockname()[1]}"


def demanded_key(host: str) -> str | None:
    """The key that requests must show. On loopback: the one that was set, else none. Elsewhere one is made if need be."""
    key = settings.get("PENSTOCK_SERVER_API_KEY")
    if key or is_loopback(host):
        return str(key) if key else None
    path = settings.home() / "api.key"
    if not path.exists() and write_private(path, secrets.token_urlsafe(32) + "\n"):
        print(
            f"This server listens on {host}, beyond this machine, so it demands a key: one was made.", file=sys.stderr
        )
    print(f"Clients need it as PENSTOCK_API_KEY; it is in {path}", file=sys.stderr, flush=True)
    return path.read_text().strip()
