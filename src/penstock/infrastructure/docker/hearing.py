"""Whether a server that listens on this machine alone hears containers in networks of their own, before one waits for it.

What is known of it costs a millisecond: the server answers on the loopback, and on the engine's own address nobody does.
Then a probe, which is a container, has the last word; where anything is not known the container is made.
"""

import asyncio
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from penstock.errors import JobRejected
from penstock.infrastructure import containers
from penstock.infrastructure.docker.connection import Engine, inspect_image
from penstock.infrastructure.docker.network import GATEWAY, HOST
from penstock.infrastructure.docker.probe import probe
from penstock.infrastructure.variables import API_URL
from penstock.model.reasons import Reason

if TYPE_CHECKING:
    from docker import APIClient

#: What people do about a server that does not hear containers.
WAY_OUT = (
    "A server that listens on 127.0.0.1 cannot be reached from a network of its own. Start it with `penstock server start "
    "--host 0.0.0.0` and PENSTOCK_SERVER_API_KEY set, or set network_mode to host, or set PENSTOCK_API_URL to an address "
    "that reaches the server from everywhere."
)
#: Seconds for questions to the engine, and for a connection within this machine.
_ASK_SECONDS, _CONNECT_SECONDS = 15.0, 1.0
#: Seconds that the probe may take: one that is late has said nothing.
_PROBE_SECONDS = 20.0
#: The network that containers are in by themselves: Docker's, Podman's.
_BRIDGES = ("bridge", "podman")


async def refuse_unheard(engine: Engine, request: Mapping[str, Any]) -> None:
    """Raise JobRejected if it is certain that the container of `request` could tell the API nothing. Raises NotReachable.

    Only where the engine is on this machine, and the container is told `HOST` in place of this machine's loopback.
    """
    create = request["create"]
    url = str((create.get("environment") or {}).get(API_URL) or "")
    told = request["host_config"].get("extra_hosts") or {}
    if urlsplit(url).hostname != HOST or told.get(HOST) != GATEWAY or not engine.local:
        return
    if list(create.get("command") or ()) != list(containers.ENGINE_COMMAND):
        return  # a command of the user's own may need no API
    gateway = await _gateway(engine)
    if gateway is None or not await asyncio.to_thread(_only_loopback_answers, urlsplit(url).port or 80, gateway):
        return
    image = await engine.call(lambda client: inspect_image(client, create["image"]), seconds=_ASK_SECONDS)
    try:
        async with asyncio.timeout(_PROBE_SECONDS):
            probed = await probe(engine, request, str((image or {}).get("Id") or ""), f"{url.rstrip('/')}/health")
    except TimeoutError:
        return
    if probed.ok is False:
        raise JobRejected(
            f"A container does not reach the API at {url}: {probed.said}.",
            reason=Reason.CONFIGURATION_INVALID,
            hint=WAY_OUT,
        )


async def _gateway(engine: Engine) -> str | None:
    """The address that the engine gives itself for its containers, as far as it can be known."""

    def ask(client: "APIClient") -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = client.networks(names=list(_BRIDGES))
        return rows

    try:
        found = await engine.call(ask, seconds=_ASK_SECONDS)
    except engine.APIError:
        return None
    ranges = [
        each for row in found if row.get("Name") in _BRIDGES for each in (row.get("IPAM") or {}).get("Config") or []
    ]
    return next((str(each["Gateway"]) for each in ranges if each.get("Gateway")), None)


def _only_loopback_answers(port: int, gateway: str) -> bool:
    """Whether somebody listens on that port here, and nobody at `gateway`."""
    return _refuses(gateway, port) and any(_answers(host, port) for host in ("127.0.0.1", "::1"))


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), _CONNECT_SECONDS).close()
    except OSError:
        return False
    return True


def _refuses(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), _CONNECT_SECONDS).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False
