"""What the engine's machine has to give, against what a container asks for: from /info and a rendered request. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from penstock.infrastructure.base import Finding
from penstock.infrastructure.docker.raw import newer_fields

_BILLION = 1_000_000_000
#: The first API whose engines know a host-gateway in extra_hosts, take a platform for a container, and hand out devices.
_NEEDS_API = {"host-gateway": (1, 41), "platform": (1, 41), "device_requests": (1, 40)}


def findings(info: Mapping[str, Any], api: tuple[int, ...], request: Mapping[str, Any]) -> list[Finding]:
    """What the engine can or cannot give of what `request` asks for. What it does not ask for is not spoken of."""
    host = _host_config(request)
    return [
        *_options(api, request, host),
        *_memory(info, host),
        *_processors(info, host),
        *_kernel(info, host),
        *_runtime(info, host),
        *_devices(info, host),
    ]


def platforms_fit(info: Mapping[str, Any], wanted: str, offered: list[tuple[str, str]]) -> str | None:
    """Why an image that is there for these (system, machine) will not run, None if it will. `wanted` is the platform that
    the block asks for, or ""."""
    known = [pair for pair in offered if "unknown" not in pair and all(pair)]
    if not known:
        return None
    if wanted:
        system, _, machine = wanted.lower().partition("/")
        pair = system, machine_of(machine.partition("/")[0])
    else:
        pair = str(info.get("OSType") or "linux"), machine_of(str(info.get("Architecture") or ""))
    if any(system == pair[0] and (machine_of(machine) == pair[1] or not pair[1]) for system, machine in known):
        return None
    has = ", ".join(sorted({f"{system}/{machine}" for system, machine in known}))
    return f"the image is there for {has}, not for {pair[0]}/{pair[1]}"


_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i386": "386", "i686": "386"}


def machine_of(word: str) -> str:
    """A machine's kind as images call it: kernels say x86_64 where images say amd64."""
    return _MACHINES.get(word.lower(), word.lower())


def _host_config(request: Mapping[str, Any]) -> dict[str, Any]:
    """The host configuration, with what is given raw under the names that the SDK has for it."""
    raw = (request.get("raw") or {}).get("HostConfig") or {}
    names = {
        "Memory": "mem_limit",
        "MemorySwap": "memswap_limit",
        "NanoCpus": "nano_cpus",
        "CpuQuota": "cpu_quota",
        "CpusetCpus": "cpuset_cpus",
        "PidsLimit": "pids_limit",
        "Runtime": "runtime",
        "DeviceRequests": "device_requests",
    }
    return {**request["host_config"], **{ours: raw[theirs] for theirs, ours in names.items() if theirs in raw}}


def _options(api: tuple[int, ...], request: Mapping[str, Any], host: Mapping[str, Any]) -> Iterator[Finding]:
    asked = {
        "host-gateway": "host-gateway" in str(host.get("extra_hosts") or ""),
        "platform": bool(request["create"].get("platform")),
        "device_requests": bool(host.get("device_requests")),
    }
    spoken = ".".join(map(str, api))
    wanted = {option: needed for option, needed in _NEEDS_API.items() if asked[option]} | newer_fields(request)
    for option, needed in wanted.items():
        if api < needed:
            wants = ".".join(map(str, needed))
            said = f"the engine speaks {spoken} of the API, and this needs {wants}"
            yield Finding(f"the option {option}", False, said, "Use a newer engine, or leave that option out.")


def _memory(info: Mapping[str, Any], host: Mapping[str, Any]) -> Iterator[Finding]:
    limit, total = host.get("mem_limit"), int(info.get("MemTotal") or 0)
    if isinstance(limit, int) and limit > 0:
        if total and limit > total:
            said = f"{_size(limit)} is more than all memory of the engine's machine, {_size(total)}"
            yield Finding("the memory limit", False, said, "Set a lower mem_limit, or use a larger machine.")
        elif info.get("MemoryLimit") is False:
            fix = "Switch the memory controller on (kernel option cgroup_enable=memory)."
            yield Finding("the memory limit", False, "the engine's kernel cannot limit memory", fix)
        else:
            yield Finding("the memory limit", True, f"{_size(limit)} of {_size(total)}")
    if host.get("memswap_limit") not in (None, 0) and info.get("SwapLimit") is False:
        fix = "Leave memswap_limit out, or switch it on (kernel option swapaccount=1)."
        yield Finding("the swap limit", False, "the engine's kernel cannot limit swap, and would ignore it", fix)


def _processors(info: Mapping[str, Any], host: Mapping[str, Any]) -> Iterator[Finding]:
    there = int(info.get("NCPU") or 0)
    wanted = int(host.get("nano_cpus") or 0) / _BILLION
    if wanted:
        if there and wanted > there:
            fix = "Ask for fewer, or use a larger machine."
            yield Finding("the processors", False, f"{wanted:g} are more than the {there} of the engine's machine", fix)
        elif info.get("CpuCfsQuota") is False:
            fix = "Leave the limit of processors out, or use another kernel."
            yield Finding("the processors", False, "the engine's kernel cannot limit processors", fix)
        else:
            yield Finding("the processors", True, f"{wanted:g} of {there}")
    if host.get("cpuset_cpus") and info.get("CPUSet") is False:
        yield Finding("the set of processors", False, "the engine's kernel has none", "Leave cpuset_cpus out.")


def _kernel(info: Mapping[str, Any], host: Mapping[str, Any]) -> Iterator[Finding]:
    if host.get("pids_limit") and info.get("PidsLimit") is False:
        yield Finding("the limit of processes", False, "the engine's kernel cannot do that", "Leave it out.")


def _runtime(info: Mapping[str, Any], host: Mapping[str, Any]) -> Iterator[Finding]:
    wanted, known = host.get("runtime"), sorted(info.get("Runtimes") or {})
    if wanted:
        ok = wanted in known
        fix = "" if ok else "Install it on the engine's machine and name it in its daemon.json, or leave runtime out."
        yield Finding(f"the runtime {wanted}", ok, "known" if ok else f"the engine has {', '.join(known)}", fix)


def _devices(info: Mapping[str, Any], host: Mapping[str, Any]) -> Iterator[Finding]:
    if not host.get("device_requests"):
        return
    ways = [name for name in info.get("Runtimes") or {} if "nvidia" in name]
    cards = [str(device.get("ID")) for device in info.get("DiscoveredDevices") or () if isinstance(device, Mapping)]
    ok = bool(ways or cards)
    said = ", ".join([*ways, *cards]) if ok else "the engine knows of no runtime or device for them"
    fix = "" if ok else "Install the NVIDIA Container Toolkit there: `nvidia-ctk runtime configure --runtime=docker`."
    yield Finding("the GPUs", ok, said, fix)


def _size(count: int) -> str:
    return f"{count / 1024**3:.1f} GiB" if count >= 1024**3 else f"{count / 1024**2:.0f} MiB"
