"""Every setting of a DockerContainer, compared with what the engine says of the container that was made of it."""

import dataclasses
import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import docker
import docker.errors
import pytest
from docker_engine import busybox_image, engine, podman_engine

from penstock.infrastructure import DockerContainer
from penstock.infrastructure.base import Job
from penstock.infrastructure.docker.api_fields import CONFIG, HOST_CONFIG
from penstock.infrastructure.docker.body import create_body, secret_archive
from penstock.infrastructure.docker.host import Host
from penstock.infrastructure.docker.render import render
from penstock.infrastructure.names import job_name
from penstock.infrastructure.sample import sample_job
from penstock.model.base import JSONObject

API = "http://api.example.com:4200/api"
LOCAL_API = "http://127.0.0.1:4200/api"
TOKEN = "a-token-that-nobody-may-see"
NO_PART = {
    "type": "it chose this request",
    "image_pull_policy": "it is about the time before there is a container",
    "image_registry": "it is about the time before there is a container",
    "stream_output": "the agent heeds it",
    "start_timeout": "the server and the agent heed it",
    "run_timeout": "the server and the agent heed it",
    "cancel_timeout": "the server and the agent heed it",
    "grace_seconds": "the driver's stop heeds it",
}
MOUNT = "type=volume,source=NETWORK,target=/b,readonly,volume-nocopy"
RATE = [{"Path": "/dev/null", "Rate": 1024}]
#: field -> what it is set to, and what the engine then says at which place
ROWS: dict[str, list[tuple[JSONObject, dict[str, Any]]]] = {
    "env": [({"env": {"LEVEL": "7", "EMPTY": ""}}, {"Config.Env": ["LEVEL=7", "EMPTY="]})],
    "labels": [({"labels": {"Team Name": "x/y z"}}, {"Config.Labels.Team Name": "x/y z"})],
    "name": [({"name": "my name!"}, {"Config.Labels.penstock\\.io/name": "my name!"})],
    "command": [({"command": ["sh", "-c", "exit 0"]}, {"Config.Cmd": ["sh", "-c", "exit 0"]})],
    "image": [({}, {"Config.Image": "IMAGE"})],
    "networks": [({"networks": ["NETWORK"]}, {"HostConfig.NetworkMode": "NETWORK"})],
    "network_mode": [
        ({"network_mode": mode}, {"HostConfig.NetworkMode": mode}) for mode in ("host", "bridge", "none", "default")
    ],
    "auto_remove": [
        ({"auto_remove": True}, {"HostConfig.AutoRemove": False, "Config.Labels.penstock\\.io/keep": "false"}),
        ({}, {"HostConfig.AutoRemove": False, "Config.Labels.penstock\\.io/keep": "true"}),
    ],
    "volumes": [({"volumes": ["/tmp:/b:ro", "/tmp:/c"]}, {"HostConfig.Binds": ["/tmp:/b:ro", "/tmp:/c"]})],
    "mem_limit": [
        ({"mem_limit": "64m"}, {"HostConfig.Memory": 64 * 1024**2}),
        ({"mem_limit": 1e8}, {"HostConfig.Memory": 100_000_000}),
    ],
    "memswap_limit": [
        ({"mem_limit": "64m", "memswap_limit": "96m"}, {"HostConfig.MemorySwap": 96 * 1024**2}),
        ({"mem_limit": "64m", "memswap_limit": -1}, {"HostConfig.MemorySwap": -1}),
    ],
    "privileged": [({"privileged": True}, {"HostConfig.Privileged": True})],
    "cpus": [({"cpus": 0.5}, {"HostConfig.NanoCpus": 500_000_000}), ({"cpus": 1}, {"HostConfig.NanoCpus": 10**9})],
    "gpus": [
        (
            {"gpus": "all"},
            {"HostConfig.DeviceRequests.0.Count": -1, "HostConfig.DeviceRequests.0.Capabilities": [["gpu"]]},
        ),
        ({"gpus": 2}, {"HostConfig.DeviceRequests.0.Count": 2}),
        ({"gpus": "device=0,GPU-1"}, {"HostConfig.DeviceRequests.0.DeviceIDs": ["0", "GPU-1"]}),
    ],
    "shm_size": [({"shm_size": "128m"}, {"HostConfig.ShmSize": 128 * 1024**2})],
    "user": [({"user": "1000:100"}, {"Config.User": "1000:100"}), ({"user": 65534}, {"Config.User": "65534"})],
    "mounts": [
        (
            {"mounts": [MOUNT]},
            {
                "HostConfig.Mounts.0.Type": "volume",
                "HostConfig.Mounts.0.Source": "NETWORK",
                "HostConfig.Mounts.0.Target": "/b",
                "HostConfig.Mounts.0.ReadOnly": True,
                "HostConfig.Mounts.0.VolumeOptions.NoCopy": True,
            },
        ),
        (
            {"mounts": [{"type": "bind", "source": "/tmp", "target": "/c", "propagation": "rslave"}]},
            {"HostConfig.Mounts.0.Source": "/tmp", "HostConfig.Mounts.0.BindOptions.Propagation": "rslave"},
        ),
        (
            {"mounts": ["type=tmpfs,dst=/d,tmpfs-size=1m,tmpfs-mode=1777"]},
            {
                "HostConfig.Mounts.0.TmpfsOptions.SizeBytes": 1024**2,
                "HostConfig.Mounts.0.TmpfsOptions.Mode": 0o1777,
            },
        ),
        (
            {"mounts": ["type=volume,dst=/e,volume-driver=local,volume-opt=type=tmpfs,volume-opt=device=tmpfs"]},
            {
                "HostConfig.Mounts.0.VolumeOptions.DriverConfig": {
                    "Name": "local",
                    "Options": {"type": "tmpfs", "device": "tmpfs"},
                }
            },
        ),
    ],
    "tmpfs": [
        (
            {"tmpfs": ["/scratch:size=64m,mode=1777", "/run"]},
            {"HostConfig.Tmpfs": {"/scratch": "size=64m,mode=1777", "/run": ""}},
        )
    ],
    "ulimits": [
        (
            {"ulimits": {"nofile": "1024:2048", "core": 0, "memlock": -1}},
            {
                "HostConfig.Ulimits": [
                    {"Name": "nofile", "Soft": 1024, "Hard": 2048},
                    {"Name": "core", "Soft": 0, "Hard": 0},
                    {"Name": "memlock", "Soft": -1, "Hard": -1},
                ]
            },
        )
    ],
    "ports": [
        (
            {"ports": ["127.0.0.1:8080:80", "81/udp", "[::1]:9000-9001:90-91"]},
            {
                "HostConfig.PortBindings": {
                    "80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}],
                    "81/udp": [{"HostIp": "", "HostPort": ""}],
                    "90/tcp": [{"HostIp": "::1", "HostPort": "9000"}],
                    "91/tcp": [{"HostIp": "::1", "HostPort": "9001"}],
                },
                "Config.ExposedPorts": {"80/tcp": {}, "81/udp": {}, "90/tcp": {}, "91/tcp": {}},
            },
        )
    ],
    "extra_hosts": [
        (
            {"extra_hosts": {"db.local": "10.0.0.5", "me": "host-gateway"}},
            {"HostConfig.ExtraHosts": ["db.local:10.0.0.5", "me:host-gateway"]},
        )
    ],
    "dns": [({"dns": ["10.0.0.1", "::1"]}, {"HostConfig.Dns": ["10.0.0.1", "::1"]})],
    "platform": [({"platform": "linux/PLATFORM"}, {"Platform": "linux"})],
    "entrypoint": [
        ({"entrypoint": "sh -c"}, {"Config.Entrypoint": ["sh", "-c"]}),
        ({"entrypoint": []}, {"Config.Entrypoint": None}),
    ],
    "working_dir": [({"working_dir": "/srv"}, {"Config.WorkingDir": "/srv"})],
    "cap_add": [({"cap_add": ["cap_sys_ptrace"]}, {"HostConfig.CapAdd": ["CAP_SYS_PTRACE"]})],
    "cap_drop": [({"cap_drop": ["all"]}, {"HostConfig.CapDrop": ["ALL"]})],
    "read_only": [({"read_only": True}, {"HostConfig.ReadonlyRootfs": True})],
    "init": [({"init": True}, {"HostConfig.Init": True}), ({"init": False}, {"HostConfig.Init": False})],
    "runtime": [({"runtime": "runc"}, {"HostConfig.Runtime": "runc"})],
    "pids_limit": [({"pids_limit": 100}, {"HostConfig.PidsLimit": 100})],
    "devices": [
        (
            {"devices": ["/dev/null:/dev/nothing:r", "/dev/zero"]},
            {
                "HostConfig.Devices": [
                    {"PathOnHost": "/dev/null", "PathInContainer": "/dev/nothing", "CgroupPermissions": "r"},
                    {"PathOnHost": "/dev/zero", "PathInContainer": "/dev/zero", "CgroupPermissions": "rwm"},
                ]
            },
        )
    ],
    "host_config": [
        (
            {
                "host_config": {
                    "OomScoreAdj": 500,
                    "CpuShares": 512,
                    "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m"}},
                    "Sysctls": {"net.core.somaxconn": 1024},
                }
            },
            {
                "HostConfig.OomScoreAdj": 500,
                "HostConfig.CpuShares": 512,
                "HostConfig.LogConfig.Config": {"max-size": "10m"},
                "HostConfig.Sysctls": {"net.core.somaxconn": "1024"},
            },
        )
    ],
    "config": [
        (
            {"config": {"Hostname": "worker", "StopSignal": "SIGINT", "Healthcheck": {"Test": ["NONE"]}}},
            {"Config.Hostname": "worker", "Config.StopSignal": "SIGINT", "Config.Healthcheck": {"Test": ["NONE"]}},
        )
    ],
}
#: What the engine keeps of each of its own fields, where the block has none: field -> value.
RAW: dict[str, JSONObject] = {
    "host_config": {
        "BlkioDeviceReadBps": RATE,
        "BlkioDeviceReadIOps": RATE,
        "BlkioDeviceWriteBps": RATE,
        "BlkioDeviceWriteIOps": RATE,
        "CgroupParent": "/penstock-test",
        "CgroupnsMode": "private",
        "CpuPeriod": 100_000,
        "CpuQuota": 50_000,
        "CpuShares": 512,
        "CpusetCpus": "0",
        "CpusetMems": "0",
        "DeviceCgroupRules": ["c 13:* rwm"],
        "DeviceRequests": [
            {"Driver": "", "Count": 1, "DeviceIDs": [], "Capabilities": [["gpu"]], "Options": {"a": "b"}}
        ],
        "DnsOptions": ["ndots:1"],
        "DnsSearch": ["example.com"],
        "GroupAdd": ["100"],
        "IpcMode": "private",
        "LogConfig": {"Type": "json-file", "Config": {"max-file": "3"}},
        "MaskedPaths": ["/proc/kcore"],
        "MemoryReservation": 32 * 1024**2,
        "MemorySwappiness": 10,
        "OomKillDisable": False,
        "OomScoreAdj": -100,
        "PidMode": "host",
        "PublishAllPorts": True,
        "ReadonlyPaths": ["/proc/sys"],
        "SecurityOpt": ["no-new-privileges"],
        "Sysctls": {"net.core.somaxconn": "1024"},
        "UTSMode": "host",
        "UsernsMode": "host",
        "VolumeDriver": "local",
    },
    "config": {
        "Domainname": "example.com",
        "Healthcheck": {
            "Test": ["CMD", "true"],
            "Interval": 10**9,
            "Timeout": 10**9,
            "Retries": 2,
            "StartPeriod": 10**9,
        },
        "Hostname": "worker",
        "MacAddress": "02:42:ac:11:00:99",
        "OnBuild": ["RUN true"],
        "Shell": ["/bin/sh", "-c"],
        "StopSignal": "SIGQUIT",
    },
}
NOT_ON_THIS_ENGINE = {
    "Annotations": "API 1.43",
    "ArgsEscaped": "Windows",
    "BlkioWeight": "a kernel with weights",
    "BlkioWeightDevice": "a kernel with weights",
    "Cgroup": "the engine's own",
    "ConsoleSize": "API 1.42",
    "CpuCount": "Windows",
    "CpuPercent": "Windows",
    "CpuRealtimePeriod": "a kernel with real-time groups",
    "CpuRealtimeRuntime": "a kernel with real-time groups",
    "IOMaximumBandwidth": "Windows",
    "IOMaximumIOps": "Windows",
    "Isolation": "Windows",
    "Links": "another container",
    "StorageOpt": "a storage driver with quotas",
    "VolumesFrom": "another container",
}
#: What engines leave out, with a warning, where the kernel has the second version of control groups.
OF_THE_FIRST_CGROUPS = {"CgroupParent", "MemorySwappiness", "OomKillDisable"}
CASES = [(field, fields, found) for field, rows in ROWS.items() for fields, found in rows]


@pytest.fixture(scope="module")
def client() -> Iterator[docker.APIClient]:
    with engine().client() as made:
        yield made


@pytest.fixture(scope="module")
def network(client: docker.APIClient) -> Iterator[str]:
    """A network, whose name is nobody else's; the volume of that name goes along with it."""
    name = f"penstock-test-{uuid4().hex}"
    client.create_network(name)
    yield name
    client.remove_network(name)
    for volume in client.volumes(filters={"name": name})["Volumes"] or ():
        client.remove_volume(volume["Name"])


def _job(api_url: str = API) -> Job:
    attempt = uuid4()
    sample = sample_job(api_url, {})
    secrets = dict.fromkeys(sample.secret_env, TOKEN)
    return dataclasses.replace(sample, name=job_name("inspected", attempt), attempt_id=attempt, secret_env=secrets)


def _inspected(client: docker.APIClient, block: DockerContainer, job: Job, host: Host | None = None) -> JSONObject:
    """What the engine says of the container of this request, which is made as the driver makes it, and removed."""
    request = render(block, job, host or Host())
    body = create_body(client, request)
    made = client.create_container_from_config(body, request["create"]["name"], request["pull"].get("platform"))["Id"]
    try:
        archive = secret_archive(request)
        if archive is not None:
            client.put_archive(made, *archive)
        for name in request["connect"]:
            client.connect_container_to_network(made, name)
        found: JSONObject = client.inspect_container(made)
        return found
    finally:
        client.remove_container(made, force=True, v=True)


def _at(found: Any, path: str) -> Any:
    for part in path.replace("\\.", "\0").split("."):
        name = part.replace("\0", ".")
        found = found[int(name)] if isinstance(found, list) else found[name]
    return found


def test_every_field_of_the_block_is_looked_for_in_the_container_or_says_why_it_is_not_there() -> None:
    assert {*ROWS, *NO_PART} == {*DockerContainer.model_fields}
    assert not {*ROWS} & {*NO_PART}


@pytest.mark.parametrize(
    ("field", "fields", "expected"), CASES, ids=[f"{field}-{n}" for n, (field, _, _) in enumerate(CASES)]
)
def test_the_engine_has_what_the_field_says(
    client: docker.APIClient, network: str, field: str, fields: JSONObject, expected: dict[str, Any]
) -> None:
    machine = {"x86_64": "amd64", "aarch64": "arm64"}
    words = {"IMAGE": busybox_image(), "NETWORK": network, "PLATFORM": machine[client.info()["Architecture"]]}

    def filled(value: Any) -> Any:
        text = json.dumps(value)
        for word, meant in words.items():
            text = text.replace(word, meant)
        return json.loads(text)

    found = _inspected(
        client, DockerContainer(**{"image": busybox_image(), "command": ["true"], **filled(fields)}), _job()
    )
    for path, value in filled(expected).items():
        said = _at(found, path)
        if path == "Config.Env":
            assert {*value} <= {*said}
        elif path == "HostConfig.CapAdd":  # engines before 20.10.24 say it as it was said
            assert [name.removeprefix("CAP_") for name in said] == [name.removeprefix("CAP_") for name in value]
        else:
            assert said == value, (field, path)


@pytest.mark.parametrize(
    ("field", "name"), [(field, name) for field, names in RAW.items() for name in names], ids=lambda value: str(value)
)
def test_the_engine_keeps_each_of_its_own_fields_under_the_name_that_we_have_for_it(
    client: docker.APIClient, field: str, name: str
) -> None:
    if name in OF_THE_FIRST_CGROUPS and client.info().get("CgroupVersion") != "1":
        pytest.skip("control groups of this engine's kernel do not have it")
    value = RAW[field][name]
    more = {"CpuQuota": {"CpuPeriod": 100_000}, "Domainname": {"Hostname": "worker"}}.get(name, {})
    block = DockerContainer(image=busybox_image(), command=["true"], **{field: {name: value, **more}})
    found = _inspected(client, block, _job())
    assert found["HostConfig" if field == "host_config" else "Config"][name] == value


def test_each_field_of_the_engine_that_we_know_was_tried_or_says_what_it_needs() -> None:
    known = {*HOST_CONFIG["properties"], *CONFIG["properties"]}
    assert {*RAW["host_config"], *RAW["config"], *NOT_ON_THIS_ENGINE} == known


def test_a_variable_that_is_null_is_taken_away_from_the_image(client: docker.APIClient) -> None:
    block = DockerContainer(image=busybox_image(), command=["true"], env={"PATH": None, "LEVEL": "7"})
    env = _inspected(client, block, _job())["Config"]["Env"]
    assert not any(text.startswith("PATH=") for text in env)
    assert "LEVEL=7" in env


def test_podman_puts_nothing_of_its_own_in_place_of_a_variable_that_is_null(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OF_THE_SERVICE", "what-no-container-may-see")
    fields: JSONObject = {"env": {"OF_THE_SERVICE": None}, "mounts": ["type=tmpfs,target=/d,tmpfs-size=1m"]}
    with podman_engine() as podman, podman.client() as client:
        block = DockerContainer(image=busybox_image(podman), command=["true"], network_mode="host", **fields)
        found = _inspected(client, block, _job())
    assert not any("OF_THE_SERVICE" in text for text in found["Config"]["Env"])
    assert "mode=1777" in found["HostConfig"]["Tmpfs"]["/d"]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"tmpfs": ["/run"]},
        {"volumes": ["/tmp:/run/penstock"]},
        {"mounts": ["type=tmpfs,target=/run"]},
        {"read_only": True},
    ],
)
def test_the_token_is_nothing_that_the_engine_tells_of_a_container(
    client: docker.APIClient, fields: JSONObject
) -> None:
    found = _inspected(client, DockerContainer(image=busybox_image(), **fields), _job())
    assert TOKEN not in json.dumps(found)
    assert any(text.startswith("PENSTOCK__ATTEMPT_TOKEN_FILE=/") for text in found["Config"]["Env"])


def test_the_token_is_where_its_variable_says_and_everybody_in_the_container_can_read_it(
    client: docker.APIClient,
) -> None:
    for fields, place in (
        ({}, "/run/penstock/token"),
        ({"tmpfs": ["/run"]}, "/etc/penstock/token"),
        ({"read_only": True}, "/run/penstock/token"),
        ({"read_only": True, "tmpfs": ["/run"]}, "/etc/penstock/token"),
    ):
        command = ["sh", "-c", "cat $PENSTOCK__ATTEMPT_TOKEN_FILE; echo; echo $PENSTOCK__ATTEMPT_TOKEN_FILE"]
        block = DockerContainer(image=busybox_image(), command=command, user="65534", network_mode="none", **fields)
        request = render(block, _job(), Host())
        made = client.create_container_from_config(create_body(client, request), request["create"]["name"])["Id"]
        try:
            archive = secret_archive(request)
            assert archive is not None
            client.put_archive(made, *archive)
            client.start(made)
            client.wait(made)
            assert client.logs(made).decode().split() == [TOKEN, place]
        finally:
            client.remove_container(made, force=True, v=True)


def test_a_container_with_mounts_over_all_places_for_it_gets_its_token_as_a_variable(client: docker.APIClient) -> None:
    everywhere = ["/run", "/etc", "/penstock"]
    found = _inspected(client, DockerContainer(image=busybox_image(), tmpfs=everywhere), _job())
    assert f"PENSTOCK__ATTEMPT_TOKEN={TOKEN}" in found["Config"]["Env"]


@pytest.mark.parametrize(
    ("fields", "host", "mode", "url", "hosts"),
    [
        ({}, Host(), "host", LOCAL_API, None),
        ({}, Host(shares_network=False), "default", LOCAL_API.replace("127.0.0.1", "host.docker.internal"), True),
        ({"network_mode": "bridge"}, Host(), "bridge", LOCAL_API.replace("127.0.0.1", "host.docker.internal"), True),
        ({"ports": ["80"]}, Host(), "default", LOCAL_API.replace("127.0.0.1", "host.docker.internal"), True),
        ({"env": {"PENSTOCK_API_URL": "http://localhost:1/api"}}, Host(), "host", "http://localhost:1/api", None),
    ],
)
def test_the_engine_is_told_how_the_container_reaches_an_api_on_its_machine(
    client: docker.APIClient, fields: JSONObject, host: Host, mode: str, url: str, hosts: bool | None
) -> None:
    found = _inspected(client, DockerContainer(image=busybox_image(), **fields), _job(LOCAL_API), host)
    assert found["HostConfig"]["NetworkMode"] == mode
    assert f"PENSTOCK_API_URL={url}" in found["Config"]["Env"]
    assert (found["HostConfig"]["ExtraHosts"] or None) == (["host.docker.internal:host-gateway"] if hosts else None)


def test_networks_are_all_attached(client: docker.APIClient, network: str) -> None:
    block = DockerContainer(image=busybox_image(), networks=[network, "bridge"])
    assert {*_inspected(client, block, _job())["NetworkSettings"]["Networks"]} == {network, "bridge"}
