"""How a container reaches the API: by the host's network or its name, or not at all, which is said at once."""

import json
from pathlib import Path
from typing import Any

import pytest

from penstock.errors import Unsupported
from penstock.infrastructure import DockerContainer
from penstock.infrastructure.docker.host import Host, host_of
from penstock.infrastructure.docker.network import Port, Way, read_ports, way_to_api
from penstock.infrastructure.docker.render import render
from penstock.infrastructure.sample import sample_job

HERE, REMOTE, APART = Host(), Host(engine_here=False, shares_network=False), Host(shares_network=False)
LOCAL = ["http://localhost:4200/api", "http://127.0.0.1:4200/api", "http://[::1]:4200/api", "http://0.0.0.0:4200/api"]
BY_NAME = "http://host.docker.internal:4200/api"
ELSEWHERE = "https://api.example.com/api"


def _way(url: str, mode: str | None = None, host: Host = HERE, *, own: bool = False, verbatim: bool = False) -> Way:
    return way_to_api(url, mode, host, own_network=own, verbatim=verbatim)


@pytest.mark.parametrize("url", LOCAL)
def test_an_api_on_this_machine_is_reached_by_its_network_or_by_its_name(url: str) -> None:
    assert _way(url) == Way("host", url, by_name=False)
    assert _way(url, "host") == Way("host", url, by_name=False)
    assert _way(url, host=APART) == Way(None, BY_NAME, by_name=True)
    assert _way(url, "bridge") == Way("bridge", BY_NAME, by_name=True)
    assert _way(url, "backend") == Way("backend", BY_NAME, by_name=True)
    assert _way(url, own=True) == Way(None, BY_NAME, by_name=True)
    assert _way(url, "container:web") == Way("container:web", BY_NAME, by_name=False)


@pytest.mark.parametrize("mode", [None, "bridge", "host", "container:web"])
@pytest.mark.parametrize("host", [HERE, REMOTE, APART])
def test_an_api_that_has_one_address_everywhere_is_told_as_it_is(mode: str | None, host: Host) -> None:
    assert _way(ELSEWHERE, mode, host) == Way(mode, ELSEWHERE, by_name=False)


@pytest.mark.parametrize("host", [HERE, REMOTE, APART])
def test_an_address_that_the_block_says_stays_as_it_was_written(host: Host) -> None:
    for url in (*LOCAL, ELSEWHERE):
        assert _way(url, "bridge", host, verbatim=True) == Way("bridge", url, by_name=False)


@pytest.mark.parametrize("url", LOCAL)
@pytest.mark.parametrize("mode", [None, "host", "bridge"])
def test_an_engine_elsewhere_cannot_reach_an_api_on_this_machine_which_is_said_with_the_way_out(
    url: str, mode: str | None
) -> None:
    with pytest.raises(Unsupported, match="runs containers on another one") as refused:
        _way(url, mode, REMOTE)
    assert url in refused.value.message
    assert "PENSTOCK_API_URL" in str(refused.value.hint)


@pytest.mark.parametrize(
    ("fields", "api", "said", "hint"),
    [
        ({}, "", "no address of an API is set", "penstock server start"),
        ({"network_mode": "none"}, ELSEWHERE, f"network_mode is none, .* {ELSEWHERE}", "set another one"),
        ({"network_mode": "none"}, LOCAL[0], f"network_mode is none, .* {LOCAL[0]}", "set another one"),
    ],
)
def test_an_engine_that_could_tell_nobody_what_becomes_of_the_run_is_not_started(
    fields: dict[str, Any], api: str, said: str, hint: str
) -> None:
    with pytest.raises(Unsupported, match=said) as refused:
        render(DockerContainer(image="flows:1", **fields), sample_job(api, {}), HERE)
    assert hint in str(refused.value.hint)
    # a command of its own may have no need of it
    request = render(DockerContainer(image="flows:1", command=["true"], **fields), sample_job(api, {}), HERE)
    assert request["create"]["command"] == ["true"]


@pytest.mark.parametrize(
    ("environ", "system", "found"),
    [
        ({}, "linux", HERE),
        ({}, "darwin", APART),
        ({"DOCKER_HOST": "unix:///run/user/1000/docker.sock"}, "linux", HERE),
        ({"DOCKER_HOST": "unix:///home/me/.docker/desktop/docker.sock"}, "linux", APART),
        ({"DOCKER_HOST": "tcp://localhost:2375"}, "linux", HERE),
        ({"DOCKER_HOST": "tcp://build.example.com:2375"}, "linux", REMOTE),
        ({"DOCKER_HOST": "ssh://me@build.example.com"}, "linux", REMOTE),
        ({"DOCKER_HOST": "gopher://x"}, "linux", HERE),
        ({"DOCKER_CONTEXT": "no-such-context"}, "darwin", APART),
    ],
)
def test_where_containers_run_is_what_the_docker_program_would_take(
    environ: dict[str, str], system: str, found: Host, tmp_path: Path
) -> None:
    assert host_of(environ, tmp_path, system) == found


def test_what_a_request_says_of_a_remote_engine_is_what_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://build.example.com:2375")
    with pytest.raises(Unsupported, match="runs containers on another one"):
        render(DockerContainer(image="flows:1"), sample_job(LOCAL[0], {}))
    assert render(DockerContainer(image="flows:1"), sample_job(ELSEWHERE, {}))["host_config"]["network_mode"] is None


@pytest.mark.parametrize(
    ("text", "ports"),
    [
        ("80", [Port(80, "tcp", 0)]),
        ("8080:80", [Port(80, "tcp", 8080)]),
        (":80", [Port(80, "tcp", 0)]),
        ("127.0.0.1::80", [Port(80, "tcp", 0, "127.0.0.1")]),
        ("127.0.0.1:8080:80/udp", [Port(80, "udp", 8080, "127.0.0.1")]),
        ("[::1]:8080:80", [Port(80, "tcp", 8080, "::1")]),
        ("8000-8001:80-81/TCP", [Port(80, "tcp", 8000), Port(81, "tcp", 8001)]),
        ("90-91", [Port(90, "tcp", 0), Port(91, "tcp", 0)]),
    ],
)
def test_published_ports_are_written_as_for_the_docker_program(text: str, ports: list[Port]) -> None:
    assert read_ports(text) == ports


def test_hosts_of_the_block_stand_beside_the_one_of_the_machine_and_win_over_it() -> None:
    def hosts(**extra: str) -> Any:
        block = DockerContainer(image="flows:1", network_mode="bridge", extra_hosts=extra)
        return render(block, sample_job(LOCAL[0], {}), HERE)["host_config"]["extra_hosts"]

    assert hosts(db="10.0.0.5") == {"host.docker.internal": "host-gateway", "db": "10.0.0.5"}
    assert hosts(**{"host.docker.internal": "10.0.0.1"}) == {"host.docker.internal": "10.0.0.1"}


def test_a_preview_is_the_container_as_json_with_secrets_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_API_URL", LOCAL[1])
    monkeypatch.setenv("DOCKER_HOST", "unix:///var/run/docker.sock")
    block = DockerContainer(
        image="flows:1",
        networks=["inner"],
        env={"A": "1", "DB_PASSWORD": "hunter2"},
        cpus=2,
        volumes=["/a:/b"],
        name="n",
    )
    shown = json.loads(block.preview())
    assert [*shown][:13] == [
        "image", "network", "network_mode", "command", "environment", "auto_remove", "labels", "extra_hosts", "name",
        "volumes", "mem_limit", "memswap_limit", "privileged",
    ]  # fmt: skip
    assert (shown["network"], shown["network_mode"], shown["cpus"]) == ("inner", None, 2.0)
    assert shown["command"] == ["python", "-m", "penstock.engine"]
    assert shown["environment"]["PENSTOCK_API_URL"] == BY_NAME
    assert (shown["environment"]["A"], "hunter2" in block.preview()) == ("1", False)
    assert "shm_size" not in shown
    assert (
        json.loads(DockerContainer(image="flows:1", env={"PENSTOCK_API_URL": ELSEWHERE}).preview())["network_mode"]
        is None
    )
