"""What an engine's machine has, against what a container asks for."""

from typing import Any

import pytest

from penstock.infrastructure.docker.fitness import findings, platforms_fit

INFO: dict[str, Any] = {
    "MemTotal": 8 * 1024**3,
    "NCPU": 4,
    "MemoryLimit": True,
    "SwapLimit": True,
    "CpuCfsQuota": True,
    "PidsLimit": True,
    "Runtimes": {"runc": {}},
    "OSType": "linux",
    "Architecture": "x86_64",
}


def found(info: dict[str, Any] | None = None, api: tuple[int, ...] = (1, 45), **host: Any) -> dict[str, bool]:
    request = {"create": {"platform": host.pop("platform", None)}, "host_config": host, "raw": host.pop("raw", None)}
    return {finding.tried: finding.ok for finding in findings({**INFO, **(info or {})}, api, request)}


def test_what_is_not_asked_for_is_not_spoken_of() -> None:
    assert found() == {}


def test_memory_is_compared_with_the_machine() -> None:
    assert found(mem_limit=1024**3) == {"the memory limit": True}
    assert found(mem_limit=16 * 1024**3) == {"the memory limit": False}
    assert found({"MemoryLimit": False}, mem_limit=1024**3) == {"the memory limit": False}
    assert found({"SwapLimit": False}, memswap_limit=-1) == {"the swap limit": False}


def test_what_is_given_raw_counts_too() -> None:
    assert found(raw={"HostConfig": {"Memory": 16 * 1024**3}}) == {"the memory limit": False}


def test_processors_are_compared_with_the_machine() -> None:
    assert found(nano_cpus=2_000_000_000) == {"the processors": True}
    assert found(nano_cpus=8_000_000_000) == {"the processors": False}
    assert found({"CpuCfsQuota": False}, nano_cpus=1_000_000_000) == {"the processors": False}


def test_processes_runtimes_and_gpus_need_somebody_who_knows_them() -> None:
    assert found({"PidsLimit": False}, pids_limit=100) == {"the limit of processes": False}
    assert found(runtime="runsc") == {"the runtime runsc": False}
    assert found({"Runtimes": {"runsc": {}}}, runtime="runsc") == {"the runtime runsc": True}
    assert found(device_requests=[{"Count": -1}]) == {"the GPUs": False}
    assert found({"Runtimes": {"nvidia": {}}}, device_requests=[{"Count": -1}]) == {"the GPUs": True}


def test_options_need_an_engine_that_is_new_enough() -> None:
    assert found(api=(1, 40), extra_hosts={"host.docker.internal": "host-gateway"}) == {
        "the option host-gateway": False
    }
    assert found(api=(1, 41), extra_hosts={"host.docker.internal": "host-gateway"}) == {}
    assert found(api=(1, 40), platform="linux/arm64") == {"the option platform": False}


@pytest.mark.parametrize(
    ("wanted", "offered", "fits"),
    [
        ("", [("linux", "amd64")], True),
        ("", [("linux", "arm64")], False),
        ("", [("linux", "arm64"), ("linux", "amd64"), ("unknown", "unknown")], True),
        ("linux/arm64/v8", [("linux", "arm64")], True),
        ("linux/arm64", [("linux", "amd64")], False),
        ("", [], True),
        ("", [("unknown", "unknown")], True),
    ],
)
def test_an_image_is_for_the_platform_or_it_is_said_which_it_is_for(
    wanted: str, offered: list[tuple[str, str]], fits: bool
) -> None:
    unfit = platforms_fit(INFO, wanted, offered)
    assert (unfit is None) == fits
