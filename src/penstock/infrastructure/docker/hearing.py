"""How a container in a network of its own is told of an API on this machine, and whether that hears it, before one waits for it.

Docker gives this machine a name in containers, if it is asked to. Other engines do not know that, or have a name of their
own: there each address is tried by a probe, which is a container, and the first that is heard is used.

What is known of a server that listens on this machine alone costs a millisecond: it answers on the loopback, and on the
engine's own address nobody does. Then a probe has the last word; where anything is not known the container is made.
"""

import asyncio
import logging
import socket
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from penstock.errors import JobRejected
from penstock.infrastructure import containers
from penstock.infrastructure.docker.connection import DOCKERS_OWN, Engine, components, inspect_image
from penstock.infrastructure.docker.network import GATEWAY, HOST, MODES
from penstock.infrastructure.docker.probe import Probed, probe
from penstock.infrastructure.variables import API_URL
from penstock.model.base import JSONObject
from penstock.model.reasons import Reason

if TYPE_CHECKING:
    from docker import APIClient

_log = logging.getLogger("penstock.docker")

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
#: The name that Podman itself gives its machine in containers.
_NAME_OF_PODMAN = "host.containers.internal"
#: Engines and addresses of which the log has told already.
_told: set[tuple[str, str]] = set()


async def heard(engine: Engine, request: Mapping[str, Any], *, refuse: bool = True) -> Mapping[str, Any]:
    """`request`, with the address by which its container reaches an API on this machine.

    Only where the container is told `HOST` in place of this machine's loopback, and runs the engine of a flow run: a command
    of the user's own may need no API. With `refuse`, raises JobRejected if it is certain that the container could tell the
    API nothing. Raises NotReachable if the Docker engine does not answer.
    """
    url = _url_of(request)
    told = request["host_config"].get("extra_hosts") or {}
    if urlsplit(url).hostname != HOST or told.get(HOST) != GATEWAY:
        return request
    if not containers.is_engine(request["create"].get("command")):
        return request
    ways = await _ways(engine, request)
    if ways:
        return await _first_heard(engine, request, ways, refuse)
    if not engine.local or not refuse:
        return request
    gateway = await _gateway(engine, _BRIDGES)
    if gateway is None or not await asyncio.to_thread(_only_loopback_answers, urlsplit(url).port or 80, gateway):
        return request
    probed = await _probed(engine, request, await _image_id(engine, request))
    if probed is not None and probed.ok is False:
        raise _unheard(url, probed.said)
    return request


async def _first_heard(
    engine: Engine, request: Mapping[str, Any], ways: Sequence[Mapping[str, Any]], refuse: bool
) -> Mapping[str, Any]:
    """The first of `ways` in which the API is heard; the first of all if that cannot be told.

    With `refuse`, raises JobRejected if it is heard in none, though it is there.
    """
    image_id = await _image_id(engine, request)
    found: list[Probed | None] = []
    for way in ways:
        probed = await _probed(engine, way, image_id)
        if probed is not None and probed.ok:
            _tell(engine, way)
            return way
        found.append(probed)
    port = urlsplit(_url_of(request)).port or 80
    refused = [each.said for each in found if each is not None and each.ok is False]
    if refuse and engine.local and len(refused) == len(ways) and await asyncio.to_thread(_answers_here, port):
        raise _unheard(" or ".join(map(_url_of, ways)), "; ".join(refused))
    return ways[0]


def _tell(engine: Engine, way: Mapping[str, Any]) -> None:
    url = _url_of(way)
    if (engine.url, url) not in _told:
        _told.add((engine.url, url))
        _log.info("containers of the engine at %s reach the API at %s: that was tried", engine.url, url)


def _unheard(url: str, said: str) -> JobRejected:
    return JobRejected(
        f"A container does not reach the API at {url}: {said}.", reason=Reason.CONFIGURATION_INVALID, hint=WAY_OUT
    )


async def _ways(engine: Engine, request: Mapping[str, Any]) -> list[JSONObject]:
    """What the container may be told instead on an engine that is none of Docker's own, which know `GATEWAY`."""
    parts = await engine.call(components, seconds=_ASK_SECONDS)
    if DOCKERS_OWN in parts:
        return []
    network = str(request["host_config"].get("network_mode") or "")
    gateway = await _gateway(engine, _BRIDGES if not network or network in MODES else (network,))
    names = [_NAME_OF_PODMAN] if "Podman Engine" in parts else []
    return [_told_instead(request, name, None) for name in names] + (
        [_told_instead(request, HOST, gateway)] if gateway else []
    )


def _told_instead(request: Mapping[str, Any], name: str, address: str | None) -> JSONObject:
    """`request`, with `name` as the API's host, and `address` as that name's, unless its engine knows it."""
    create, host = request["create"], request["host_config"]
    hosts = {known: at for known, at in (host.get("extra_hosts") or {}).items() if known != HOST}
    return {
        **request,
        "create": {
            **create,
            "environment": {**create["environment"], API_URL: _url_of(request).replace(HOST, name, 1)},
        },
        "host_config": {**host, "extra_hosts": hosts | ({name: address} if address else {})},
    }


def _url_of(request: Mapping[str, Any]) -> str:
    return str((request["create"].get("environment") or {}).get(API_URL) or "")


async def _image_id(engine: Engine, request: Mapping[str, Any]) -> str:
    image = await engine.call(lambda client: inspect_image(client, request["create"]["image"]), seconds=_ASK_SECONDS)
    return str((image or {}).get("Id") or "")


async def _probed(engine: Engine, request: Mapping[str, Any], image_id: str) -> Probed | None:
    """What a probe finds; None if it is late."""
    try:
        async with asyncio.timeout(_PROBE_SECONDS):
            return await probe(engine, request, image_id, f"{_url_of(request).rstrip('/')}/health")
    except TimeoutError:
        return None


async def _gateway(engine: Engine, networks: Iterable[str]) -> str | None:
    """The address that the engine gives itself in the first of these networks, as far as it can be known."""
    names = list(networks)

    def ask(client: "APIClient") -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = client.networks(names=names)
        return rows

    try:
        found = await engine.call(ask, seconds=_ASK_SECONDS)
    except engine.APIError:
        return None
    ranges = [each for row in found if row.get("Name") in names for each in (row.get("IPAM") or {}).get("Config") or []]
    return next((str(each["Gateway"]) for each in ranges if each.get("Gateway")), None)


def _only_loopback_answers(port: int, gateway: str) -> bool:
    """Whether somebody listens on that port here, and nobody at `gateway`."""
    return _refuses(gateway, port) and _answers_here(port)


def _answers_here(port: int) -> bool:
    return any(_answers(host, port) for host in ("127.0.0.1", "::1"))


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
