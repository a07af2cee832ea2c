"""The types of a container's settings: each reads what is meant, and refuses what cannot be with what is right. Pure."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ValidationInfo

from penstock.blocks.extras import holds_reference
from penstock.infrastructure.docker.hardware import read_device, read_gpus, read_ulimit
from penstock.infrastructure.docker.mounts import Mount, read_mount, read_tmpfs
from penstock.infrastructure.docker.network import check_hosts, check_networks, check_ports, check_server, read_mode
from penstock.infrastructure.docker.volumes import bytes_of, read_volume
from penstock.infrastructure.docker.words import read_capabilities, read_platform

#: Less than this Docker gives to no container.
_LEAST_MEMORY, _LEAST_CPUS = 6 * 1024**2, 0.01
_USER = re.compile(r"[^:\s]+(:[^:\s]+)?")
Amount = int | float | str | None


def is_open(value: Any) -> bool:
    """Whether `value` is a text that is not known before its references are resolved."""
    return isinstance(value, str) and holds_reference(value)


def check_memory(limit: Amount, both: Amount, reservation: Amount) -> None:
    """Raise ValueError if memory, memory and swap, and what is reserved of it contradict each other."""
    if is_open(limit) or is_open(both):
        return
    most = None if limit is None else bytes_of(limit, "mem_limit")
    if most is not None and most < _LEAST_MEMORY:
        raise ValueError(f"mem_limit is {limit!r}; Docker gives no container less than 6m.")
    if isinstance(reservation, int) and most is not None and reservation > most:
        raise ValueError(f"host_config.MemoryReservation is {reservation}, more than mem_limit ({limit!r}).")
    if both is None or str(both).strip() == "-1":
        return
    if most is None:
        raise ValueError("memswap_limit counts memory and swap together and needs mem_limit, which is not set.")
    if bytes_of(both, "memswap_limit") < most:
        raise ValueError(f"memswap_limit is {both!r}, less than mem_limit ({limit!r}), which it includes.")


def check_mode_with(mode: str | None, said: Mapping[str, bool]) -> None:
    """Raise ValueError for a setting that is `said` although the network mode leaves no room for it."""
    shared = (mode or "").startswith("container:")
    without = {"host": ("ports",), "none": ("ports",)}.get(
        mode or "", ("ports", "extra_hosts", "dns") if shared else ()
    )
    for field in without:
        if said.get(field):
            raise ValueError(
                f"{field} cannot be set with network_mode {mode}: the container has no network of its own."
            )


def mounted(volumes: Sequence[str], mounts: Sequence[Mount], tmpfs: Sequence[str]) -> list[tuple[str, str]]:
    """Where each mount appears in the container, and which one it is. Those that are not known yet are left out."""
    found = [(read_volume(text).target, f"volumes {text!r}") for text in volumes if not holds_reference(text)]
    found += [(mount.target, f"mounts {mount.target!r}") for mount in mounts if not is_open(mount.target)]
    return [*found, *((read_tmpfs(text)[0], f"tmpfs {text!r}") for text in tmpfs if not holds_reference(text))]


def _amount(value: Any, info: ValidationInfo) -> Any:
    unlimited = info.field_name == "memswap_limit" and str(value).strip() == "-1"
    if value is None or unlimited or is_open(value):
        return value
    known = isinstance(value, int | float | str) and not isinstance(value, bool)
    if not known or bytes_of(value, str(info.field_name)) < 1:
        raise ValueError(f"{info.field_name} is {value!r}; write bytes, or a number with b, k, m or g, e.g. 512m.")
    return value


def _cpus(value: float) -> float:
    if value < _LEAST_CPUS:
        raise ValueError(f"cpus is {value:g}; Docker gives no container less than {_LEAST_CPUS} processors.")
    return value


def _mode(value: str) -> str:
    return value if holds_reference(value) else read_mode(value)


def _mounts(value: Any) -> Any:
    return [read_mount(item) for item in value] if isinstance(value, list) else value


def _each(check: Callable[[str], object]) -> Callable[[list[str]], list[str]]:
    """`check` for each text of a list that is known by now."""

    def checked(value: list[str]) -> list[str]:
        for text in value:
            if not holds_reference(text):
                check(text)
        return value

    return checked


def _ulimits(value: dict[str, int | str]) -> dict[str, int | str]:
    for name, limit in value.items():
        read_ulimit(name, limit)
    return value


def _user(value: Any) -> Any:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if isinstance(text, str) and not holds_reference(text) and not _USER.fullmatch(text):
        raise ValueError(f"user is {value!r}; write a name or number, or user:group.")
    return text


def _folder(value: str) -> str:
    if not value.startswith("/") and not holds_reference(value):
        raise ValueError(f"working_dir is {value!r}; it is a whole path in the container and begins with '/'.")
    return value


def _runtime(value: str) -> str:
    if not value or any(sign.isspace() for sign in value):
        raise ValueError(f"runtime is {value!r}, which no runtime is called; null leaves it to the engine.")
    return value


def _pids(value: int) -> int:
    if value < 1 and value != -1:
        raise ValueError(f"pids_limit is {value}; it is 1 or more, or -1 for no limit.")
    return value


Networks = Annotated[list[str], AfterValidator(check_networks)]
Mode = Annotated[str, AfterValidator(_mode)]
Volumes = Annotated[list[str], AfterValidator(_each(read_volume))]
MemSwap = Annotated[int | str | None, BeforeValidator(_amount)]
Memory = Annotated[float | str | None, BeforeValidator(_amount)]
Size = Annotated[int | str | None, BeforeValidator(_amount)]
Cpus = Annotated[float, AfterValidator(_cpus)]
Gpus = Annotated[int | str | list[str] | None, BeforeValidator(read_gpus)]
User = Annotated[str | None, BeforeValidator(_user)]
Mounts = Annotated[list[Mount], BeforeValidator(_mounts)]
Tmpfs = Annotated[list[str], AfterValidator(_each(read_tmpfs))]
Ulimits = Annotated[dict[str, int | str], AfterValidator(_ulimits)]
Ports = Annotated[list[str], AfterValidator(check_ports)]
Hosts = Annotated[dict[str, str], AfterValidator(check_hosts)]
Servers = Annotated[list[str], AfterValidator(_each(check_server))]
Platform = Annotated[str, AfterValidator(read_platform)]
Folder = Annotated[str, AfterValidator(_folder)]
Capabilities = Annotated[list[str], AfterValidator(read_capabilities)]
Runtime = Annotated[str, AfterValidator(_runtime)]
Pids = Annotated[int, AfterValidator(_pids)]
Devices = Annotated[list[str], AfterValidator(_each(read_device))]
