"""How a container is reached and what it reaches: networks, published ports, host names, and the API's address. Pure."""

import ipaddress
import re
from dataclasses import dataclass

from penstock.blocks.extras import holds_reference
from penstock.errors import Unsupported, did_you_mean
from penstock.infrastructure.containers import local_host_in
from penstock.infrastructure.docker.host import Host
from penstock.model.base import JSONObject
from penstock.model.reasons import Reason

#: The name by which containers reach the machine that they run on.
HOST = "host.docker.internal"
#: What the engine replaces by its own address.
GATEWAY = "host-gateway"
MODES = ("bridge", "host", "none", "default")
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_HOST_NAME = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9_.-]*[a-zA-Z0-9])?")
_PORT = re.compile(
    r"(?:(?:(?P<ip>\[[0-9a-fA-F:.]+\]|[0-9.]+):)?(?P<host>[0-9]*(?:-[0-9]+)?):)?"
    r"(?P<inside>[0-9]+(?:-[0-9]+)?)(?:/(?P<protocol>\w+))?"
)
_PROTOCOLS = ("tcp", "udp", "sctp")


@dataclass(frozen=True)
class Port:
    """One port of the container, published. `host` 0: the engine chooses; `address` empty: on all addresses."""

    inside: int
    protocol: str
    host: int
    address: str = ""


@dataclass(frozen=True)
class Way:
    """How a container reaches the API: its network mode (None: the engine's own), the address that it is told, and
    whether it needs to know the host by name."""

    mode: str | None
    api_url: str
    by_name: bool

    @property
    def extra_hosts(self) -> dict[str, str]:
        """The host's name and address, if the container needs to know it."""
        return {HOST: GATEWAY} if self.by_name else {}


def read_mode(text: str) -> str:
    """A network mode as the engine spells it. Raises ValueError."""
    kind, colon, name = text.partition(":")
    if not text.strip():
        raise ValueError("network_mode is empty; null leaves the choice to the engine.")
    if colon and (kind != "container" or not name):
        raise ValueError(f"network_mode is {text!r}; of this kind there is container:NAME only.")
    if text.lower() in MODES:
        return text.lower()
    if not _NAME.fullmatch(name if colon else text):
        raise ValueError(f"network_mode is {text!r}; it is bridge, host, none, container:NAME, or a network's name.")
    return text


def check_networks(names: list[str]) -> list[str]:
    """`names` if they are names of networks, each once. Raises ValueError."""
    for name in names:
        if holds_reference(name):
            continue
        if name.lower() in {"host", "none"} or name.startswith("container:"):
            raise ValueError(f"{name!r} is no network but a mode: set network_mode instead.")
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a network.")
        if names.count(name) > 1:
            raise ValueError(f"{name!r} is named twice.")
    return names


def read_ports(text: str) -> list[Port]:
    """``[[address:][host_port]:]container_port[/protocol]``, ports or ranges of them. Raises ValueError."""
    match = _PORT.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} publishes no port; write 8080:80, 127.0.0.1:8080:80/tcp, or 80 alone.")
    protocol = (match["protocol"] or "tcp").lower()
    if protocol not in _PROTOCOLS:
        raise ValueError(
            f"{text!r}: there is no protocol {protocol!r}.{did_you_mean(protocol, _PROTOCOLS)} There are tcp, udp and sctp."
        )
    address = (match["ip"] or "").strip("[]")
    if address:
        _check_address(address, text)
    inside = _range(match["inside"], text)
    outside = _range(match["host"], text) if match["host"] else [0] * len(inside)
    if len(outside) != len(inside):
        raise ValueError(f"{text!r}: {len(outside)} ports of the host cannot be {len(inside)} of the container.")
    return [Port(port, protocol, host, address) for port, host in zip(inside, outside, strict=True)]


def check_ports(texts: list[str]) -> list[str]:
    """`texts` if each publishes ports, and none a port of the host that another one has. Raises ValueError."""
    taken: dict[tuple[str, str, int], str] = {}
    for text in texts:
        for port in [] if holds_reference(text) else read_ports(text):
            place = (port.address, port.protocol, port.host)
            if port.host and place in taken:
                raise ValueError(f"{taken[place]!r} and {text!r} publish the same port {port.host} of the host.")
            taken[place] = text
    return texts


def port_bindings(texts: list[str]) -> dict[str, list[JSONObject]]:
    """The published ports in the engine's own form. Texts with a reference are left out: nobody knows yet what they say."""
    found: dict[str, list[JSONObject]] = {}
    for port in (port for text in texts if not holds_reference(text) for port in read_ports(text)):
        binding: JSONObject = {"HostPort": str(port.host) if port.host else ""}
        if port.address:
            binding["HostIp"] = port.address
        found.setdefault(f"{port.inside}/{port.protocol}", []).append(binding)
    return found


def check_hosts(hosts: dict[str, str]) -> dict[str, str]:
    """`hosts` if each name has an address, or the engine's word for its own. Raises ValueError."""
    for name, address in hosts.items():
        if not _HOST_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a host.")
        if not holds_reference(address) and address != GATEWAY:
            near = did_you_mean(address, [GATEWAY])
            _check_address(address, f"{name}: {address}", near or f" {GATEWAY} means the machine itself.")
    return hosts


def check_server(address: str) -> None:
    """Raise ValueError if that is no address of a name server."""
    _check_address(address, address)


def way_to_api(api_url: str, mode: str | None, host: Host, *, own_network: bool, verbatim: bool) -> Way:
    """How a container reaches the API at `api_url`, empty if there is none. `mode`: what the block says.

    `own_network`: the container needs a network of its own, for networks or ports of its; `verbatim`: the block's
    variables say the address, which is then told as it is.
    Raises Unsupported if it cannot reach it.
    """
    local = local_host_in(api_url)
    if local is None or mode == "none":
        return Way(mode, api_url, by_name=False)
    if not host.engine_here and not verbatim:
        raise _unreachable(
            f"the API's address {api_url} means this machine, and the Docker engine runs containers on another one"
        )
    if mode is None and not own_network and host.shares_network:
        mode = "host"
    if verbatim or mode == "host":
        return Way(mode, api_url, by_name=False)
    # the names of a container whose network is shared are that container's own
    shared = (mode or "").startswith("container:")
    return Way(mode, api_url.replace(local, HOST, 1), by_name=not shared)


def refuse_silence(way: Way) -> None:
    """Raise Unsupported if the engine in the container could tell nobody what becomes of the run."""
    if not way.api_url:
        raise _unreachable("no address of an API is set that a container could reach")
    if way.mode == "none":
        hint = "Leave network_mode out, or set another one."
        raise _unreachable(f"its network_mode is none, which keeps it from the API at {way.api_url}", hint)


def _unreachable(what: str, hint: str = "") -> Unsupported:
    return Unsupported(
        f"A docker-container cannot run: {what}.",
        hint=hint
        or "Start a server (`penstock server start` or `penstock up`), and set PENSTOCK_API_URL where the agent runs to an "
        "address of it that containers reach.",
        reason=Reason.CONFIGURATION_INVALID,
    )


def _check_address(address: str, text: str, hint: str = "") -> None:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        raise ValueError(f"{text!r}: {address!r} is no IP address.{hint}") from None


def _range(text: str, whole: str) -> list[int]:
    first, _, last = text.partition("-")
    low, high = int(first or 0), int(last or first or 0)
    if not 1 <= low <= high <= 65535:
        raise ValueError(f"{whole!r}: {text} is no port, and no range of ports: they go from 1 to 65535.")
    return [*range(low, high + 1)]
