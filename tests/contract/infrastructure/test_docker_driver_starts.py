"""How containers start, and how it is told that they do not: once, whole, in Docker's own words, and with nothing left."""

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from docker_engine import busybox_image, engine
from pydantic import SecretStr

from penstock.errors import JobRejected, NotReachable, StillPreparing
from penstock.infrastructure.docker.driver import DockerDriver
from penstock.model.reasons import Reason
from penstock.testing import Fault, FaultProxy

from .docker_jobs import LONG, Jobs, address_of, opened, retried, until, until_written

TOKEN_FILE = "/run/penstock/token"
SHOW_TOKEN = (
    "sh",
    "-c",
    f"cat {TOKEN_FILE} 2>/dev/null || echo no file; echo; echo variable ${{PENSTOCK__ATTEMPT_TOKEN:-none}}",
)


@pytest.fixture
def jobs() -> Jobs:
    return Jobs(engine().address)


@pytest.fixture
def proxy() -> Iterator[FaultProxy]:
    with FaultProxy(engine().address) as running:
        yield running


def _with_token(request: dict[str, Any]) -> dict[str, Any]:
    """The request of a job whose token is a file."""
    environment = {
        name: value for name, value in request["create"]["environment"].items() if name != "PENSTOCK__ATTEMPT_TOKEN"
    }
    request["create"]["environment"] = {**environment, "PENSTOCK__ATTEMPT_TOKEN_FILE": TOKEN_FILE}
    request["secret_files"] = {TOKEN_FILE: SecretStr("top-secret")}
    return request


@pytest.mark.parametrize(
    ("create", "host_config", "reason", "words"),
    [
        ({"command": ["no-such-command"]}, {}, Reason.COMMAND_NOT_FOUND, "executable file not found"),
        ({"command": ["/etc/passwd"]}, {}, Reason.COMMAND_NOT_FOUND, "permission denied"),
        ({}, {"network_mode": "no-such-network"}, Reason.CONFIGURATION_INVALID, "no-such-network not found"),
        ({}, {"network_mode": "container:nobody"}, Reason.CONFIGURATION_INVALID, "No such container: nobody"),
        (
            {},
            {"mounts": [{"Type": "bind", "Source": "/no/such/path", "Target": "/data"}]},
            Reason.CONFIGURATION_INVALID,
            "bind source path does not exist: /no/such/path",
        ),
        ({}, {"runtime": "nvidia"}, Reason.CONFIGURATION_INVALID, "runtime"),
        (
            {},
            {"device_requests": [{"Driver": "", "Count": -1, "Capabilities": [["gpu"]]}]},
            Reason.CONFIGURATION_INVALID,
            "could not select device driver",
        ),
        ({"user": "nobody-at-all"}, {}, Reason.CONFIGURATION_INVALID, "unable to find user nobody-at-all"),
        ({}, {"mem_limit": 1000}, Reason.CONFIGURATION_INVALID, "Minimum memory limit"),
        (
            {},
            {"security_opt": ["seccomp=/profile.json"]},
            Reason.CONFIGURATION_INVALID,
            "Decoding seccomp profile failed",
        ),
        ({"working_dir": "/etc/passwd"}, {}, Reason.CONFIGURATION_INVALID, "/etc/passwd is not a directory"),
        (
            {},
            {"log_config": {"Type": "fluentd", "Config": {"fluentd-address": "127.0.0.1:9"}}},
            Reason.START_FAILED,
            "failed to initialize logging driver",
        ),
        ({"image": "penstock-test/removed:1"}, {}, Reason.IMAGE_NOT_FOUND, "penstock-test/removed:1"),
    ],
    ids=lambda value: next(iter(value), "") if isinstance(value, dict) else None,
)
def test_what_docker_refuses_is_told_in_its_words_with_a_reason_and_leaves_nothing(
    jobs: Jobs, create: dict[str, Any], host_config: dict[str, Any], reason: Reason, words: str
) -> None:
    async def question(driver: DockerDriver) -> None:
        request = jobs.request(host_config={"init": False, **host_config})
        request["create"].update(create)
        with pytest.raises(JobRejected) as refused:
            await driver.start(request)
        assert refused.value.reason == reason
        assert words in refused.value.message
        assert refused.value.hint
        assert await driver.find(jobs.owner) == []

    jobs.ask(question)


def test_a_port_that_another_container_has_is_refused_for_now(jobs: Jobs) -> None:
    def at(port: str | None) -> dict[str, Any]:
        binding = {"port_bindings": {80: ("127.0.0.1", port)}, "network_mode": "bridge"}
        request = jobs.request(host_config=binding)
        request["create"]["ports"] = [80]
        return request

    async def question(driver: DockerDriver) -> None:
        first = await driver.start(at(None))  # any that is free
        with engine().client() as client:
            port = client.port(first.data["id"], 80)[0]["HostPort"]
        with pytest.raises(JobRejected) as refused:
            await driver.start(at(port))
        assert refused.value.reason == Reason.START_FAILED
        assert port in refused.value.message
        assert [found.handle for found in await driver.find(jobs.owner)] == [first]

    jobs.ask(question)


def test_an_image_that_may_not_be_pulled_and_is_not_there_is_refused(jobs: Jobs) -> None:
    async def question(driver: DockerDriver) -> None:
        request = jobs.request(image=f"penstock-test/{jobs.owner}:1", image_pull_policy="NEVER")
        with pytest.raises(JobRejected) as refused:
            await driver.start(request)
        assert refused.value.reason == Reason.IMAGE_NOT_FOUND

    jobs.ask(question)


def test_an_image_that_comes_after_the_start_was_given_up_starts_nothing(jobs: Jobs) -> None:
    image = f"penstock-test/late-{jobs.owner}"

    async def question(driver: DockerDriver) -> None:
        with pytest.raises((JobRejected, StillPreparing)):
            await driver.start(jobs.request(image=f"{image}:1"))
        with engine().client() as client:
            client.tag(busybox_image(), image, "1")
        try:
            # longer than an abandoned fetch may still be in somebody's hands
            await asyncio.sleep(1.5)
            assert await driver.find(jobs.owner) == []
        finally:
            with engine().client() as client:
                client.remove_image(f"{image}:1")

    jobs.ask(question)


@pytest.mark.parametrize("path", ["/v[^/]+/containers/create", "/v[^/]+/containers/[^/]+/start"])
@pytest.mark.parametrize("kind", ["drop_answer", "cut"])
def test_a_start_whose_answer_is_lost_is_unknown_and_the_next_one_makes_no_second_container(
    jobs: Jobs, proxy: FaultProxy, kind: Any, path: str
) -> None:
    async def question(driver: DockerDriver) -> None:
        request = jobs.request()
        proxy.add(Fault(kind, method="POST", path=path, times=1))
        with pytest.raises(NotReachable):
            await driver.start(request)
        handle = await driver.start(request)
        await until_written(driver, handle, "ready")
        assert [found.handle for found in await driver.find(jobs.owner)] == [handle]
        assert (await driver.output(handle)).text == "ready\n"

    jobs.ask(question, address_of(proxy))


@pytest.mark.parametrize("status", [404, 409, 500, 503])
def test_what_something_before_docker_answers_is_no_word_on_any_container(
    jobs: Jobs, proxy: FaultProxy, status: int
) -> None:
    async def question(driver: DockerDriver) -> None:
        handle = await driver.start(jobs.request())
        fault = proxy.add(Fault("status", path=".*/containers/.*", status=status))
        assert (await driver.observe([handle]))[0].status == "UNKNOWN"
        for call in (driver.stop(handle, 0), driver.remove(handle), driver.find(jobs.owner)):
            with pytest.raises(NotReachable):
                await call
        proxy.remove(fault)
        assert (await driver.observe([handle]))[0].status == "RUNNING"

    jobs.ask(question, address_of(proxy))


def test_a_container_whose_maker_died_before_it_was_started_is_no_job_and_is_completed(jobs: Jobs) -> None:
    async def question(driver: DockerDriver) -> None:
        request = _with_token(jobs.request(SHOW_TOKEN))
        name = request["create"]["name"]
        with engine().client() as client:
            client.create_container(
                busybox_image(), list(SHOW_TOKEN), name=name, labels=request["create"]["labels"], network_disabled=True
            )
        assert await driver.find_job(name) is None
        [left] = await driver.find(jobs.owner)
        assert not left.ended
        assert (await driver.observe([left.handle]))[0].status == "PENDING"
        handle = await driver.start(request)
        assert handle == left.handle
        await until(driver, handle, "ENDED")
        assert (await driver.output(handle)).text.startswith("top-secret\n")

    jobs.ask(question)


def test_a_container_that_was_never_started_is_gone_when_it_was_stopped(jobs: Jobs) -> None:
    async def question(driver: DockerDriver) -> None:
        labels = jobs.request()["create"]["labels"]
        with engine().client() as client:
            client.create_container(busybox_image(), list(LONG), labels=labels)
        [left] = await driver.find(jobs.owner)
        await driver.stop(left.handle, 5)
        assert (await driver.observe([left.handle]))[0].status == "MISSING"

    jobs.ask(question)


@pytest.mark.parametrize(
    ("host_config", "user", "text"),
    [
        ({}, "1234:1234", "top-secret\nvariable none\n"),
        ({"read_only": True}, "", "no file\n\nvariable top-secret\n"),
        ({"tmpfs": {"/run": ""}}, "", "no file\n\nvariable top-secret\n"),
    ],
    ids=["any user", "read-only root", "mount over the folder"],
)
def test_the_token_is_a_file_for_every_user_and_a_variable_only_where_no_file_can_be(
    jobs: Jobs, host_config: dict[str, Any], user: str, text: str
) -> None:
    async def question(driver: DockerDriver) -> None:
        request = _with_token(jobs.request(SHOW_TOKEN, host_config=host_config))
        request["create"]["user"] = user
        handle = await driver.start(request)
        await until(driver, handle, "ENDED")
        assert (await driver.output(handle)).text == text
        with engine().client() as client:
            shown = json.dumps(client.inspect_container(handle.data["id"]))
        assert ("top-secret" in shown) == ("variable top-secret" in text)

    jobs.ask(question)


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ("VOLUME /run", {}),
        ("VOLUME /run/penstock", {"user": "1234:1234"}),
        ("VOLUME /run", {"read_only": True}),
        ("USER 1234:1234", {"read_only": True}),
    ],
)
def test_the_token_is_in_a_volume_of_the_image_and_where_nothing_else_can_be_written_to(
    jobs: Jobs, change: str, fields: dict[str, Any]
) -> None:
    repository = f"penstock-test/odd-{jobs.owner}"

    async def question(driver: DockerDriver) -> None:
        handle = await driver.start(jobs.request(("cat", TOKEN_FILE), image=f"{repository}:1", **fields))
        seen = await until(driver, handle, "ENDED")
        assert seen.exit is not None
        assert (seen.exit.code, (await driver.output(handle)).text) == (0, "a-token")
        with engine().client() as client:
            found = client.inspect_container(handle.data["id"])
            assert "a-token" not in json.dumps(found)
            volumes = {mount["Name"] for mount in found["Mounts"]}
            assert volumes
            await driver.remove(handle)
            assert not volumes & {each["Name"] for each in client.volumes()["Volumes"] or ()}

    with engine().client() as client:
        base = client.create_container(busybox_image())["Id"]
        image = client.commit(base, repository, "1", changes=change)["Id"]
        client.remove_container(base)
        try:
            jobs.ask(question)
        finally:
            client.remove_image(image, force=True)


def test_the_engine_receives_what_is_rendered(jobs: Jobs) -> None:
    request = _with_token(jobs.request(host_config={"mem_limit": 64 * 1024**2, "shm_size": 2**20}))
    request["raw"] = {"Config": {"Domainname": "example.com"}, "HostConfig": {"OomScoreAdj": 500}}
    create = request["create"]
    with _tapped() as (address, heard):

        async def question(driver: DockerDriver) -> None:
            await driver.start(request)

        jobs.ask(question, address)
        [body] = [json.loads(body) for line, body in heard() if "/containers/create" in line]
    assert (body["Image"], body["Cmd"], body["Labels"]) == (create["image"], list(create["command"]), create["labels"])
    assert sorted(body["Env"]) == sorted(f"{name}={value}" for name, value in create["environment"].items())
    assert body["Domainname"] == "example.com"
    host = body["HostConfig"]
    assert (host["NetworkMode"], host["Memory"], host["ShmSize"]) == ("none", 64 * 1024**2, 2**20)
    assert (host["OomScoreAdj"], host["Init"]) == (500, True)
    assert "top-secret" not in json.dumps(body)


def test_networks_beyond_the_first_are_there_when_the_container_starts(jobs: Jobs) -> None:
    names = [f"penstock-test-{jobs.owner}-{number}" for number in (1, 2)]
    with engine().client() as client:
        made = [client.create_network(name)["Id"] for name in names]

        async def question(driver: DockerDriver) -> None:
            request = jobs.request(("sh", "-c", "ls /sys/class/net"), networks=names, network_mode=None)
            handle = await driver.start(request)
            await until(driver, handle, "ENDED")
            assert (await driver.output(handle)).text.split() == ["eth0", "eth1", "lo"]

        try:
            jobs.ask(question)
        finally:
            for each in made:
                client.remove_network(each)


def test_whether_what_is_left_stays_is_known_to_whoever_finds_it(jobs: Jobs) -> None:
    async def question(driver: DockerDriver) -> None:
        kept = await driver.start(jobs.request())
        not_kept = await driver.start(jobs.request(auto_remove=True))
        async with opened(jobs.address) as other:
            found = {each.job_name: each for each in await other.find(jobs.owner)}
        assert [found[handle.data["name"]].keep for handle in (kept, not_kept)] == [True, False]
        assert [driver.keeps(handle) for handle in (kept, not_kept)] == [True, False]

    jobs.ask(question)


def test_a_start_through_a_bad_line_comes_to_one_container_that_runs_once(jobs: Jobs, proxy: FaultProxy) -> None:
    for kind in ("cut", "drop_answer", "cut_answer", "status"):
        proxy.add(Fault(kind, probability=0.1))  # type: ignore[arg-type]
    proxy.add(Fault("delay", probability=0.2, seconds=0.05))

    async def question(driver: DockerDriver) -> None:
        requests = [jobs.request(("sh", "-c", f"echo this is {number}")) for number in range(6)]
        handles = await asyncio.gather(
            *(retried(lambda request=request: driver.start(request), NotReachable) for request in requests)
        )
        for number, handle in enumerate(handles):
            seen = await until(driver, handle, "ENDED", "MISSING")
            assert seen.exit is not None
            assert seen.exit.code == 0
            read = await retried(lambda handle=handle: driver.output(handle), NotReachable)
            assert read.text == f"this is {number}\n"
        assert len(await retried(lambda: driver.find(jobs.owner), NotReachable)) == 6

    jobs.ask(question, address_of(proxy))
    assert proxy.injected.total() > 0


@contextlib.contextmanager
def _tapped() -> Iterator[tuple[str, Any]]:
    """The address of the engine through something that listens, and what it has heard: request lines and bodies."""
    connections: list[bytearray] = []
    target = engine().address.removeprefix("unix://")
    listener = socket.create_server(("127.0.0.1", 0))
    open_sockets: list[socket.socket] = [listener]

    def carry(source: socket.socket, sink: socket.socket, record: bytearray | None) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if record is not None:
                    record += data
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def listen() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                upstream = socket.socket(socket.AF_UNIX)
                upstream.connect(target)
                open_sockets.extend([client, upstream])
                connections.append(bytearray())
                for arguments in ((client, upstream, connections[-1]), (upstream, client, None)):
                    threading.Thread(target=carry, args=arguments, daemon=True).start()

    threading.Thread(target=listen, daemon=True).start()

    def heard() -> list[tuple[str, bytes]]:
        found = []
        for spoken in connections:
            rest = bytes(spoken)
            while rest:
                head, _, rest = rest.partition(b"\r\n\r\n")
                fields = head.decode("latin-1").lower().split("\r\n")
                length = next((int(line.split(":")[1]) for line in fields if line.startswith("content-length:")), 0)
                found.append((head.decode("latin-1").split("\r\n")[0], rest[:length]))
                rest = rest[length:]
        return found

    try:
        yield f"tcp://127.0.0.1:{listener.getsockname()[1]}", heard
    finally:
        for each in open_sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
