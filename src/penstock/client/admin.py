"""Calls about the server itself."""

from typing import Any

from penstock.client.call import Call, json_object


def read_health() -> Call[bool]:
    """True from a server that is up."""
    return Call("GET", "/health", _boolean)


def read_ready() -> Call[dict[str, Any]]:
    """Raises Unreachable when sent if the server is up but cannot reach its database."""
    return Call("GET", "/ready", json_object)


def read_version() -> Call[str]:
    """The server's version."""
    return Call("GET", "/admin/version", _text)


def read_settings() -> Call[dict[str, Any]]:
    """The server's settings, secrets masked."""
    return Call("GET", "/admin/settings", json_object)


def read_counters() -> Call[dict[str, Any]]:
    """Numbers for badges, by name."""
    return Call("GET", "/counters", json_object)


def _boolean() -> type[bool]:
    return bool


def _text() -> type[str]:
    return str
