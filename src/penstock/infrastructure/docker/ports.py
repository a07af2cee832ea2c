"""Whether ports of the engine's machine that a container publishes are free, and who has them if they are not."""

import asyncio
import errno
import ipaddress
import socket
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from penstock.infrastructure.base import Finding
from penstock.infrastructure.docker.connection import Engine

if TYPE_CHECKING:
    from docker import APIClient

#: Seconds for the list of containers.
_LIST_SECONDS = 15.0
_KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}

#: A port of the host: its address, "" for all of them; its number; its protocol.
Place = tuple[str, int, str]


async def check_ports(engine: Engine, request: Mapping[str, Any]) -> list[Finding]:
    """What is to be said of each port of the host that `request` names. Raises NotReachable, and the SDK's APIError."""
    wanted = list(_wanted(request))
    if not wanted:
        return []

    def ask(client: "APIClient") -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = client.containers()
        return rows

    rows = await engine.call(ask, seconds=_LIST_SECONDS)
    return [_finding(place, await _taken(engine, place, rows)) for place in wanted]


def owner_of(place: Place, rows: Iterable[Mapping[str, Any]]) -> str | None:
    """The name of the running container that has the port published, of those that the engine lists. Pure."""
    address, number, protocol = place
    for row in rows:
        for port in row.get("Ports") or ():
            same = (port.get("PublicPort"), port.get("Type")) == (number, protocol)
            if same and _overlap(address, str(port.get("IP") or "")):
                return next((str(name).lstrip("/") for name in row.get("Names") or ()), str(row.get("Id"))[:12])
    return None


def _wanted(request: Mapping[str, Any]) -> Iterator[Place]:
    bindings: Mapping[str, list[Mapping[str, str]]] = request["host_config"].get("port_bindings") or {}
    for inside, places in bindings.items():
        for place in places:
            if place["HostPort"]:  # without one the engine takes one that is free
                yield place.get("HostIp") or "", int(place["HostPort"]), inside.rpartition("/")[2]


def _overlap(one: str, other: str) -> bool:
    return one == other or any(not each or ipaddress.ip_address(each).is_unspecified for each in (one, other))


async def _taken(engine: Engine, place: Place, rows: Iterable[Mapping[str, Any]]) -> str | None:
    """Why the port is not to be had, None if it is, or if nobody here can know."""
    owner = owner_of(place, rows)
    if owner is not None:
        return f"the container {owner} has it"
    return await asyncio.to_thread(_try, place) if engine.local and place[2] in _KINDS else None


def _try(place: Place) -> str | None:
    """Take the port for a moment, as the engine on this machine would."""
    address, number, protocol = place
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, _KINDS[protocol]) as trial:
            if protocol == "tcp":  # connections that are over do not keep it
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((address, number))
            if protocol == "tcp":  # else others that have it and allow it would not be noticed
                trial.listen(1)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return "another program of this machine has it"
        if error.errno == errno.EADDRNOTAVAIL:
            return "this machine has no such address"
    return None


def _finding(place: Place, taken: str | None) -> Finding:
    address, number, protocol = place
    shown = f"[{address}]" if ":" in address else address
    tried = f"the port {f'{shown}:' if shown else ''}{number}/{protocol} of the host"
    fix = "Publish another one, or leave the host's port out, so that the engine takes one that is free."
    return Finding(tried, taken is None, taken or "nobody has it", fix if taken else "")
