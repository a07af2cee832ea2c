"""What a check of a DockerContainer finds on a real engine, before anything runs; the API as a container sees it."""

import asyncio
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import docker_engine
import pytest
from docker_registry import Registry

from penstock.blocks.credentials.docker_registry import DockerRegistry
from penstock.blocks.docker_address import EngineAddress
from penstock.infrastructure import DockerContainer
from penstock.infrastructure.base import Finding
from penstock.infrastructure.docker import probe as probes
from penstock.infrastructure.docker.checks import check
from penstock.infrastructure.docker.connection import Engine
from penstock.testing import Fault, FaultProxy, server, wait_until
from penstock.testing.servers import TestServer

USERS = {"alice": "alices-secret"}


@pytest.fixture(scope="module")
def engine() -> docker_engine.Engine:
    return docker_engine.engine()


@pytest.fixture(scope="module")
def api() -> Iterator[TestServer]:
    """A server as it is by default: on loopback."""
    with server() as running:
        yield running


@pytest.fixture(autouse=True)
def _as_an_agent(api: TestServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_API_URL", api.api_url)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setattr(probes, "_found", {})


def findings(address: str = "", keyed: int = 2, **fields: Any) -> dict[str, Finding]:
    """What a check of that container finds, by the first words of what was tried, `keyed` of them."""

    async def story() -> list[Finding]:
        line = Engine(EngineAddress(address or docker_engine.engine().address, "DOCKER_HOST"))
        try:
            return await check(line, DockerContainer(**fields))
        finally:
            await line.close()

    return {" ".join(found.tried.split()[:keyed]): found for found in asyncio.run(story())}


@pytest.fixture(scope="module")
def registry(engine: docker_engine.Engine) -> Iterator[Registry]:
    with docker_engine.registry(USERS) as running:
        with engine.client() as client:
            running.push(client, docker_engine.busybox_image(), "team/busybox:1")
        yield running


class TestTheAPI:
    def test_a_container_in_the_hosts_network_reaches_a_server_on_loopback(self) -> None:
        found = findings(image=docker_engine.python_image(), network_mode="host")
        assert found["the Docker"].ok
        assert found["the image"].ok
        assert found["the API"].ok, found["the API"]
        assert found["the API"].said == "answers"

    def test_one_in_a_network_of_its_own_does_not_and_the_cure_is_named(self) -> None:
        found = findings(image=docker_engine.python_image(), network_mode="bridge")["the API"]
        assert not found.ok
        assert "refused" in found.said
        for cure in ("--host 0.0.0.0", "PENSTOCK_SERVER_API_KEY", "network_mode", "PENSTOCK_API_URL"):
            assert cure in found.fix

    def test_it_does_reach_one_that_listens_everywhere(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with server(env={"PENSTOCK_SERVER_API_HOST": "0.0.0.0"}) as running:
            monkeypatch.setenv("PENSTOCK_API_URL", running.api_url.replace("0.0.0.0", "127.0.0.1"))
            found = findings(image=docker_engine.python_image(), network_mode="bridge")["the API"]
        assert found.ok, found

    def test_a_network_with_a_name_counts_as_one_of_its_own(self, engine: docker_engine.Engine) -> None:
        name = f"penstock-test-{uuid4().hex[:12]}"
        with engine.client() as client:
            client.create_network(name, driver="bridge")
            try:
                found = findings(image=docker_engine.python_image(), networks=[name])
            finally:
                client.remove_network(name)
        assert found["the network"].ok
        assert not found["the API"].ok

    def test_a_server_that_is_down_is_said_to_be_down(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PENSTOCK_API_URL", "http://127.0.0.1:1/api")
        found = findings(image=docker_engine.python_image(), network_mode="host")["the API"]
        assert not found.ok
        assert "refused" in found.said

    def test_a_name_that_containers_do_not_know_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PENSTOCK_API_URL", "http://penstock.invalid:4200/api")
        found = findings(image=docker_engine.python_image(), network_mode="host")["the API"]
        assert not found.ok
        assert "PENSTOCK_API_URL" in found.fix or "http://penstock.invalid" in found.fix

    def test_something_else_that_answers_is_not_the_api(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with docker_engine.registry() as other:
            monkeypatch.setenv("PENSTOCK_API_URL", f"http://{other.address}/api")
            found = findings(image=docker_engine.python_image(), network_mode="host")["the API"]
        assert not found.ok
        assert "404" in found.said

    def test_an_image_without_python_is_said_to_be_no_place_for_flows(self) -> None:
        found = findings(image=docker_engine.busybox_image(), network_mode="host")
        assert not found["penstock in"].ok
        assert "python" in found["penstock in"].said

    @pytest.mark.parametrize(
        ("entrypoint", "fields", "told"),
        [
            (["/usr/bin/python3"], {}, True),
            (["/bin/sh", "-c"], {}, True),
            (["/bin/sh", "-c"], {"entrypoint": []}, False),
            (["/bin/sh", "/start.sh"], {}, False),
        ],
    )
    def test_an_entrypoint_that_would_take_the_command_for_a_script_is_told(
        self, engine: docker_engine.Engine, entrypoint: list[str], fields: dict[str, Any], told: bool
    ) -> None:
        repository, tag = "penstock-test/entered", uuid4().hex
        with engine.client() as client:
            base = client.create_container(docker_engine.busybox_image(), ["sh"])["Id"]
            image = client.commit(base, repository, tag, conf={"Entrypoint": entrypoint})["Id"]
            client.remove_container(base)
            try:
                found = findings(image=f"{repository}:{tag}", network_mode="host", **fields)
            finally:
                client.remove_image(image, force=True)
        assert ("the entrypoint" in found) == told
        if told:
            assert not found["the entrypoint"].ok
            assert "entrypoint to []" in found["the entrypoint"].fix

    def test_no_network_at_all_is_refused_as_a_run_would_be(self) -> None:
        found = findings(image=docker_engine.busybox_image(), network_mode="none")
        assert found["the Docker"].ok
        assert not found["the container"].ok
        assert "none" in found["the container"].said

    def test_a_command_of_its_own_may_do_without(self) -> None:
        found = findings(image=docker_engine.busybox_image(), network_mode="none", command=["true"])
        assert all(finding.ok for finding in found.values())
        assert "not tried" in found["the API"].said


class TestAProbe:
    def test_nothing_of_it_is_left(self, engine: docker_engine.Engine) -> None:
        repository, tag = "penstock-test/probed", uuid4().hex
        with engine.client() as client:
            client.tag(docker_engine.python_image(), repository, tag)
            try:
                assert findings(image=f"{repository}:{tag}", network_mode="host")["the API"].ok
                found = client.containers(all=True, filters={"label": probes.PROBE_LABEL})
            finally:
                client.remove_image(f"{repository}:{tag}", noprune=True)
        assert [each for each in found if each["Image"] == f"{repository}:{tag}"] == []

    def test_what_a_killed_process_has_left_is_removed_by_the_next(self, engine: docker_engine.Engine) -> None:
        image = docker_engine.busybox_image()
        with engine.client() as client:
            long_ago = {probes.PROBE_LABEL: "1"}
            left = client.create_container(image, "true", labels=long_ago)["Id"]
            findings(image=docker_engine.python_image(), network_mode="host")
            # somebody else's probe may be removing it just now
            wait_until(lambda: not client.containers(all=True, filters={"id": left}), message="it is removed")

    def test_a_second_question_is_answered_without_one(self, api: TestServer, engine: docker_engine.Engine) -> None:
        image = docker_engine.python_image()
        with FaultProxy(engine.address) as proxy:
            findings(proxy.url.replace("http", "tcp"), image=image, network_mode="host")
            first = proxy.requests
            probes._found.clear()  # as another process would ask
            again = findings(proxy.url.replace("http", "tcp"), image=image, network_mode="host")
            assert again["the API"].ok
            second = proxy.requests - first
        assert second < first - 3, "no container was made, started, waited for, read and removed"

    def test_a_bad_answer_is_believed_for_a_moment_only(self, monkeypatch: pytest.MonkeyPatch) -> None:
        image = docker_engine.python_image()
        assert not findings(image=image, network_mode="bridge")["the API"].ok
        monkeypatch.setattr(probes, "BAD_SECONDS", 0)
        with server(env={"PENSTOCK_SERVER_API_HOST": "0.0.0.0"}) as running:
            monkeypatch.setenv("PENSTOCK_API_URL", running.api_url.replace("0.0.0.0", "127.0.0.1"))
            assert findings(image=image, network_mode="bridge")["the API"].ok

    def test_answers_are_kept_in_the_home_without_anything_secret(self, tmp_path: Path) -> None:
        findings(image=docker_engine.python_image(), network_mode="host", env={"PASSWORD": "s3cr3t-one"})
        (kept,) = (tmp_path / "penstock").rglob("docker-probes.json")
        entries = json.loads(kept.read_text())
        assert [entry["found"]["ok"] for entry in entries.values()] == [True]
        assert "s3cr3t-one" not in kept.read_text()

    def test_a_damaged_file_of_answers_costs_a_probe(self, tmp_path: Path) -> None:
        place = tmp_path / "penstock" / "cache" / "docker-probes.json"
        place.parent.mkdir(parents=True)
        place.write_text("[1, 2")
        assert findings(image=docker_engine.python_image(), network_mode="host")["the API"].ok
        assert json.loads(place.read_text())


class TestTheImage:
    def check(self, registry: Registry, name: str, password: str, **fields: Any) -> Finding:
        login = DockerRegistry(username="alice", password=password, registry_url=registry.address)
        return findings(image=f"{registry.address}/{name}", image_registry=login, network_mode="host", **fields)[
            "the image"
        ]

    def test_the_registry_is_asked_and_nothing_is_fetched(
        self, registry: Registry, engine: docker_engine.Engine
    ) -> None:
        found = self.check(registry, "team/busybox:1", USERS["alice"])
        assert found.ok, found
        assert "alice" in found.said
        with engine.client() as client:
            assert not client.images(f"{registry.address}/team/busybox:1")

    def test_a_wrong_password_and_a_missing_tag_are_told_apart(self, registry: Registry) -> None:
        wrong = self.check(registry, "team/busybox:1", "guessed-wrongly")
        missing = self.check(registry, "team/busybox:none", USERS["alice"])
        assert not wrong.ok
        assert "login" in wrong.said + wrong.fix
        assert "guessed-wrongly" not in f"{wrong}"
        assert not missing.ok
        assert "no such image or tag" in missing.said

    def test_never_and_absent_is_said(self, registry: Registry) -> None:
        found = self.check(registry, "team/busybox:1", USERS["alice"], image_pull_policy="NEVER")
        assert not found.ok
        assert "NEVER" in found.tried

    def test_an_engine_that_cannot_ask_the_registry_is_not_taken_for_its_no(
        self, registry: Registry, engine: docker_engine.Engine
    ) -> None:
        with FaultProxy(engine.address) as proxy:
            proxy.add(Fault("status", path=r"/v[\d.]+/distribution", status=404, body=b'{"message": "Not Found"}'))
            address = f"tcp://127.0.0.1:{proxy.port}"
            found = findings(address, image=f"{registry.address}/team/busybox:1", network_mode="host")["the image"]
            assert proxy.injected["status"] == 1
        assert found.ok
        assert "not tried" in found.said

    def test_what_cannot_be_probed_yet_is_said(self, registry: Registry) -> None:
        login = DockerRegistry(username="alice", password=USERS["alice"], registry_url=registry.address)
        found = findings(image=f"{registry.address}/team/busybox:1", image_registry=login)["the API"]
        assert "not tried" in found.said


class TestTheMachine:
    def test_what_is_not_there_is_said(self, tmp_path: Path) -> None:
        found = findings(
            image=docker_engine.busybox_image(),
            networks=["no-such-network"],
            volumes=[f"{tmp_path}:/here"],
            mounts=[{"type": "bind", "source": f"{tmp_path}/nowhere", "target": "/there"}],
            mem_limit="900g",
        )
        assert not found["the network"].ok
        assert not found["a container"].ok
        assert "bridge" in found["the network"].said
        assert not found["the path"].ok, "the last path that was tried"
        assert not found["the memory"].ok

    def test_a_port_of_the_host_that_somebody_has_is_found_with_its_owner(self, engine: docker_engine.Engine) -> None:
        name = f"penstock-test-{uuid4().hex[:12]}"
        with engine.client() as client, socket.create_server(("127.0.0.1", 0)) as taken:
            host = client.create_host_config(port_bindings={80: ("127.0.0.1", None)})
            made = client.create_container(
                docker_engine.busybox_image(), ["sleep", "60"], name=name, ports=[80], host_config=host
            )["Id"]
            try:
                client.start(made)
                theirs = client.port(made, 80)[0]["HostPort"]
                programs = taken.getsockname()[1]
                found = findings(
                    image=docker_engine.busybox_image(),
                    command=["true"],
                    ports=["80", f"127.0.0.1:{theirs}:81", f"{programs}:82", f"127.0.0.1:{programs}:83/udp"],
                    keyed=3,
                )
            finally:
                client.remove_container(made, force=True, v=True)
        [owned] = [each for each in found.values() if theirs in each.tried]
        [by_program, free] = [each for each in found.values() if str(programs) in each.tried]
        assert (owned.ok, owned.said) == (False, f"the container {name} has it")
        assert not by_program.ok
        assert "program" in by_program.said
        assert owned.fix
        assert free.ok

    def test_an_engine_that_is_not_there_is_the_only_finding(self, tmp_path: Path) -> None:
        found = findings(f"unix://{tmp_path}/docker.sock", image="busybox")
        assert [finding.ok for finding in found.values()] == [False]
        assert "no such file" in found["the Docker"].said
        assert found["the Docker"].fix
