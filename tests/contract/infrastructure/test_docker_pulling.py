"""Images are fetched by a real engine from a real registry, with logins, with faults in between, and for many at once."""

import asyncio
import base64
import json
import os
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen
from uuid import uuid4

import docker_engine
import pytest
from docker_registry import Registry
from pydantic import SecretStr

from penstock.blocks.credentials.docker_registry import DockerRegistry
from penstock.blocks.docker_address import EngineAddress
from penstock.errors import ConfigurationError, JobRejected, NotReachable, StillPreparing
from penstock.infrastructure.docker.connection import Engine
from penstock.infrastructure.docker.pulling import Pulls
from penstock.model.findings import Finding
from penstock.testing import Fault, FaultProxy

USERS = {"alice": "alices-secret", "bob": "bobs-secret"}
SECONDS = 240.0
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


@pytest.fixture(scope="module")
def engine() -> docker_engine.Engine:
    return docker_engine.engine()


@pytest.fixture(scope="module")
def registry(engine: docker_engine.Engine) -> Iterator[Registry]:
    """With ``team/busybox:1`` in it."""
    image = docker_engine.busybox_image()
    with docker_engine.registry(USERS) as running:
        with engine.client() as client:
            running.push(client, image, "team/busybox:1")
        yield running


@pytest.fixture(autouse=True)
def config_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The docker program's configuration: empty, and nobody's."""
    folder = tmp_path / "docker-config"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    return folder


@pytest.fixture
def tidy(engine: docker_engine.Engine) -> Iterator[list[str]]:
    """Names of images that the engine has no more when the test is over."""
    names: list[str] = []
    yield names
    with engine.client() as client:
        for name in names:
            if client.images(name):
                client.remove_image(name, force=True, noprune=True)


def run(story: Callable[[Engine, Pulls], Awaitable[Any]], address: str = "", **options: float) -> Any:
    """`story` with an engine and its pulls, which are closed afterwards."""

    async def told() -> Any:
        async with open_pulls(address, **options) as (line, pulls):
            return await asyncio.wait_for(story(line, pulls), SECONDS)

    return asyncio.run(told())


@asynccontextmanager
async def open_pulls(address: str = "", **options: float) -> AsyncIterator[tuple[Engine, Pulls]]:
    line = Engine(EngineAddress(address or docker_engine.engine().address, "the tests"))
    pulls = Pulls(line, **options)
    try:
        yield line, pulls
    finally:
        await pulls.close()
        await line.close()


async def until_there(pulls: Pulls, pull: dict[str, Any], asker: str = "a") -> list[str]:
    """Ask for it as an agent does; what was said of it meanwhile."""
    said = []
    while True:
        try:
            await pulls.ensure(pull, asker)
            return said
        except StillPreparing as preparing:
            said.append(preparing.message)


def pull_of(image: str, login: str = "alice", password: str = "", policy: str = "IF_NOT_PRESENT") -> dict[str, Any]:
    found: dict[str, Any] = {"image": image, "policy": policy}
    if login:
        registry = image.partition("/")[0]
        shown = SecretStr(password or USERS[login])
        found["login"] = {"registry": registry, "username": login, "password": shown, "reauth": True}
    return found


def refused(pull: dict[str, Any], address: str = "") -> JobRejected:
    async def story(_: Engine, pulls: Pulls) -> JobRejected:
        with pytest.raises(JobRejected) as caught:
            await until_there(pulls, pull)
        return caught.value

    answer = run(story, address)
    assert isinstance(answer, JobRejected)
    assert answer.hint
    return answer


def has(engine: docker_engine.Engine, image: str) -> bool:
    with engine.client() as client:
        return bool(client.images(image))


def test_the_right_login_fetches_the_image_and_nothing_is_written_anywhere(
    engine: docker_engine.Engine, registry: Registry, tidy: list[str], config_folder: Path
) -> None:
    image = f"{registry.address}/team/busybox:1"
    tidy.append(image)
    before = {path: path.read_bytes() for path in config_folder.rglob("*")}
    run(lambda _, pulls: until_there(pulls, pull_of(image)))
    assert has(engine, image)
    assert {path: path.read_bytes() for path in config_folder.rglob("*")} == before


def test_an_image_that_is_there_is_not_fetched(engine: docker_engine.Engine) -> None:
    image = docker_engine.busybox_image()  # in no registry at all
    run(lambda _, pulls: pulls.ensure({"image": image, "policy": "IF_NOT_PRESENT"}))
    run(lambda _, pulls: pulls.ensure({"image": image, "policy": "NEVER"}))


def test_never_and_absent_says_both() -> None:
    error = refused({"image": "penstock-test/absent:1", "policy": "NEVER"})
    assert error.reason == "ImageNotFound"
    assert "NEVER" in error.message
    assert "penstock-test/absent:1" in error.message


def test_a_wrong_password_is_not_permitted_and_not_told(registry: Registry) -> None:
    error = refused(pull_of(f"{registry.address}/team/busybox:1", password="guessed-wrongly"))
    assert error.reason == "ImageNotPermitted"
    assert "alice" in error.message
    assert "guessed-wrongly" not in f"{error.message} {error.hint}"


def test_no_login_is_not_permitted_and_names_the_cure(registry: Registry) -> None:
    error = refused(pull_of(f"{registry.address}/team/busybox:1", login=""))
    assert error.reason == "ImageNotPermitted"
    assert "image_registry" in str(error.hint)
    assert registry.address in str(error.hint)


@pytest.mark.parametrize("name", ["team/busybox:none", "team/nothing:1"])
def test_a_tag_or_a_repository_that_is_not_there_is_not_found(registry: Registry, name: str) -> None:
    error = refused(pull_of(f"{registry.address}/{name}"))
    assert error.reason == "ImageNotFound"
    assert name in error.message


def test_a_digest_that_is_not_there_is_not_found(registry: Registry) -> None:
    assert refused(pull_of(f"{registry.address}/team/busybox@sha256:{'0' * 64}")).reason == "ImageNotFound"


def test_an_image_is_fetched_by_tag_and_digest(
    engine: docker_engine.Engine, registry: Registry, tidy: list[str]
) -> None:
    image = f"{registry.address}/team/busybox:1"
    tidy.append(image)
    run(lambda _, pulls: until_there(pulls, pull_of(image)))
    with engine.client() as client:
        digest = client.inspect_image(image)["RepoDigests"][0].partition("@")[2]
        client.remove_image(image, force=True, noprune=True)
    pinned = f"{image}@{digest}"
    tidy.append(f"{registry.address}/team/busybox@{digest}")
    run(lambda _, pulls: until_there(pulls, pull_of(pinned)))
    run(lambda _, pulls: pulls.ensure({**pull_of(pinned), "policy": "NEVER"}))


def test_a_registry_that_is_down_may_be_up_at_the_next_launch() -> None:
    error = refused(pull_of("127.0.0.1:1/team/busybox:1"))
    assert error.reason == "ImagePullFailed"
    assert "connection refused" in error.message


@pytest.mark.parametrize(("status", "words"), [(429, "too often"), (500, "500"), (503, "503")])
def test_a_registry_that_has_enough_or_breaks_may_work_at_the_next_launch(
    registry: Registry, status: int, words: str
) -> None:
    said = {"errors": [{"code": "TOOMANYREQUESTS", "message": "pull again in 7 hours"}]} if status == 429 else {}
    with FaultProxy(f"http://{registry.address}") as proxy:
        proxy.add(Fault("status", status=status, path="/v2/team", body=json.dumps(said).encode()))
        error = refused(pull_of(f"127.0.0.1:{proxy.port}/team/busybox:1"))
    assert error.reason == "ImagePullFailed"
    assert words in error.message
    if status == 429:
        assert "pull again in 7 hours" in error.message


def test_a_pull_that_is_cut_in_the_middle_goes_on(
    engine: docker_engine.Engine, registry: Registry, tidy: list[str], tmp_path: Path
) -> None:
    with FaultProxy(f"http://{registry.address}") as proxy:
        with engine.client() as client:
            fresh = import_bytes(client, tmp_path, 3_000_000)
            tidy.append(fresh)
            registry.push(client, fresh, "team/large:1")
            client.remove_image(fresh, force=True)
        _, manifest = read_manifest(registry, "team/large", "1")
        layer = json.loads(manifest)["layers"][0]["digest"]
        proxy.add(Fault("cut_answer", path=f"/v2/team/large/blobs/{layer}", times=1, after_bytes=1_000_000))
        proxy.add(Fault("delay", path="/v2/team/large/blobs", seconds=0.5))
        image = f"127.0.0.1:{proxy.port}/team/large:1"
        tidy.append(image)
        said = run(lambda _, pulls: until_there(pulls, pull_of(image)), patience=0.05)
        assert proxy.injected["cut_answer"] == 1
    assert has(engine, image)
    assert any("MB" in words or "layers" in words for words in said), said


def test_two_logins_at_once_do_not_mix(engine: docker_engine.Engine, registry: Registry) -> None:
    image = f"{registry.address}/team/busybox:1"

    async def story(_: Engine, pulls: Pulls) -> list[Any]:
        pulled = [
            pull_of(image, "alice", policy="ALWAYS"),
            pull_of(image, "bob", password="not-bobs", policy="ALWAYS"),
            pull_of(image, "bob", policy="ALWAYS"),
            pull_of(image, "", policy="ALWAYS"),
        ]
        return await asyncio.gather(*(until_there(pulls, pull) for pull in pulled), return_exceptions=True)

    try:
        alice, wrong, bob, nobody = run(story)
    finally:
        with engine.client() as client:
            client.remove_image(image, force=True, noprune=True)
    assert isinstance(alice, list), alice
    assert isinstance(bob, list), bob
    assert [type(error) for error in (wrong, nobody)] == [JobRejected, JobRejected], (wrong, nobody)
    assert [error.reason for error in (wrong, nobody)] == ["ImageNotPermitted", "ImageNotPermitted"]


def test_those_who_want_the_same_share_one_pull(registry: Registry, tidy: list[str]) -> None:
    with FaultProxy(f"http://{registry.address}") as proxy:
        image = f"127.0.0.1:{proxy.port}/team/busybox:1"
        tidy.append(image)

        async def story(_: Engine, pulls: Pulls) -> list[Any]:
            wanted, askers = pull_of(image, policy="ALWAYS"), [f"job-{number}" for number in range(20)]
            proxy.partition()
            said = await asyncio.gather(*(pulls.ensure(wanted, asker) for asker in askers), return_exceptions=True)
            proxy.partition(False)
            await asyncio.gather(*(until_there(pulls, wanted, asker) for asker in askers))
            return said

        said = run(story, patience=0.1)
        assert [type(each) for each in said] == [StillPreparing] * 20
        assert all(each.message.startswith(f"the image {image}") for each in said)
        alone = proxy.requests
        run(lambda _, pulls: until_there(pulls, pull_of(image, policy="ALWAYS")))
        assert proxy.requests - alone > 0, "ALWAYS asks the registry, also where the image is there"
        assert alone < 20, "twenty who wanted the same asked the registry as one"


def test_a_failure_is_told_to_each_who_waited_and_the_next_one_wants_it_anew(registry: Registry) -> None:
    with FaultProxy(f"http://{registry.address}") as proxy:
        pull = pull_of(f"127.0.0.1:{proxy.port}/team/none:1", policy="ALWAYS")

        async def story(_: Engine, pulls: Pulls) -> None:
            proxy.partition()
            for asker in ("first", "second"):
                with pytest.raises(StillPreparing):
                    await pulls.ensure(pull, asker)
            proxy.partition(False)
            with pytest.raises(JobRejected):
                await until_there(pulls, pull, "first")
            asked = proxy.requests
            with pytest.raises(JobRejected):
                await pulls.ensure(pull, "second")
            assert proxy.requests == asked, "the registry was not asked again to say so"
            with pytest.raises(JobRejected):
                await until_there(pulls, pull, "first")
            assert proxy.requests > asked

        run(story, patience=0.1)


def test_what_nobody_asks_for_any_more_is_given_up(registry: Registry, tidy: list[str]) -> None:
    with FaultProxy(f"http://{registry.address}") as proxy:
        image = f"127.0.0.1:{proxy.port}/team/busybox:1"
        tidy.append(image)

        async def story(_: Engine, pulls: Pulls) -> bool:
            proxy.partition()
            with pytest.raises(StillPreparing):
                await pulls.ensure(pull_of(image), "gone")
            (fetch,) = pulls._fetches.values()
            await asyncio.sleep(0.2)  # longer than it is wanted for
            proxy.partition(False)
            await asyncio.wait([asyncio.wrap_future(fetch.ended)], timeout=SECONDS)
            return fetch.given_up

        assert run(story, patience=0.05, unwanted=0.1)


def test_many_images_wait_for_their_turn_and_say_so(registry: Registry) -> None:
    with FaultProxy(f"http://{registry.address}") as proxy:
        wanted = [pull_of(f"127.0.0.1:{proxy.port}/team/none:{number}") for number in range(9)]

        async def ask(pulls: Pulls, pull: dict[str, Any]) -> str:
            with pytest.raises(StillPreparing) as caught:
                await pulls.ensure(pull)
            return caught.value.message

        async def story(_: Engine, pulls: Pulls) -> list[Any]:
            waiting: list[str] = []
            while len(waiting) != 3:  # six go on at once, as soon as their threads run
                said = await asyncio.gather(*(ask(pulls, pull) for pull in wanted))
                waiting = [words for words in said if "whose turn comes after others" in words]
            proxy.partition(False)
            return await asyncio.gather(*(until_there(pulls, pull) for pull in wanted), return_exceptions=True)

        proxy.partition()
        ends = run(story, patience=0.05)
    assert [getattr(end, "reason", end) for end in ends] == ["ImageNotFound"] * 9


def test_an_image_for_another_platform_is_not_taken_for_the_right_one(registry: Registry, tidy: list[str]) -> None:
    image = f"{registry.address}/team/busybox:1"
    tidy.append(image)
    error = refused({**pull_of(image), "platform": "linux/s390x"})
    assert error.reason == "ImageNotFound"
    assert "linux/s390x" in error.message


def test_an_image_for_several_platforms_but_not_for_this_one_is_not_found(
    engine: docker_engine.Engine, registry: Registry
) -> None:
    with engine.client() as client:
        registry.push(client, docker_engine.busybox_image(), "team/multi:other")
    put_index(registry, "team/multi", "other", "1", "s390x")
    error = refused(pull_of(f"{registry.address}/team/multi:1"))
    assert error.reason == "ImageNotFound"
    assert "platform" in error.message


def test_an_image_that_was_removed_a_moment_ago_is_fetched_again(
    engine: docker_engine.Engine, registry: Registry, tidy: list[str]
) -> None:
    image = f"{registry.address}/team/busybox:1"
    tidy.append(image)

    async def story(_: Engine, pulls: Pulls) -> None:
        await until_there(pulls, pull_of(image))
        with engine.client() as client:
            client.remove_image(image, force=True, noprune=True)
        await until_there(pulls, pull_of(image))
        assert has(engine, image)

    run(story)


def test_a_login_for_another_registry_is_an_error_that_names_both(registry: Registry) -> None:
    pull = pull_of(f"{registry.address}/team/other:1")
    pull["login"]["registry"] = "https://registry.example.com"

    async def story(_: Engine, pulls: Pulls) -> None:
        with pytest.raises(ConfigurationError, match=r"registry\.example\.com") as caught:
            await until_there(pulls, pull)
        assert registry.address in caught.value.message

    run(story)


class TestTheDockerConfiguration:
    def test_its_logins_are_used(self, registry: Registry, tidy: list[str], config_folder: Path) -> None:
        (config_folder / "config.json").write_text(
            json.dumps({"auths": {registry.address: {"auth": "Ym9iOmJvYnMtc2VjcmV0"}}})
        )
        image = f"{registry.address}/team/busybox:1"
        tidy.append(image)
        run(lambda _, pulls: until_there(pulls, pull_of(image, login="")))

    def test_its_helpers_are_asked(
        self, registry: Registry, tidy: list[str], config_folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        kept = json.dumps({"ServerURL": registry.address, "Username": "bob", "Secret": USERS["bob"]})
        make_helper(config_folder, monkeypatch, f"read asked; echo \"$asked\" > {config_folder}/asked; echo '{kept}'")
        (config_folder / "config.json").write_text(json.dumps({"credHelpers": {registry.address: "test"}}))
        image = f"{registry.address}/team/busybox:1"
        tidy.append(image)
        run(lambda _, pulls: until_there(pulls, pull_of(image, login="")))
        assert (config_folder / "asked").read_text().strip() == registry.address

    def test_a_helper_that_is_missing_is_named_when_the_registry_wants_a_login(
        self, registry: Registry, config_folder: Path
    ) -> None:
        (config_folder / "config.json").write_text(json.dumps({"credsStore": "nowhere"}))
        error = refused(pull_of(f"{registry.address}/team/busybox:1", login=""))
        assert error.reason == "ImageNotPermitted"
        assert "docker-credential-nowhere" in error.message

    def test_a_helper_that_fails_may_work_at_the_next_launch(
        self, registry: Registry, config_folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make_helper(config_folder, monkeypatch, "echo the vault is sealed; exit 1")
        (config_folder / "config.json").write_text(json.dumps({"credsStore": "test"}))
        error = refused(pull_of(f"{registry.address}/team/busybox:1", login=""))
        assert error.reason == "ImagePullFailed"
        assert "the vault is sealed" in error.message


def test_an_engine_that_goes_while_it_fetches_is_not_reachable(
    engine: docker_engine.Engine, registry: Registry
) -> None:
    pull = pull_of(f"{registry.address}/team/busybox:1", policy="ALWAYS")
    with FaultProxy(engine.address) as proxy:
        proxy.add(Fault("drop_answer", path=r"/v[\d.]+/images/create", times=1))

        async def story(_: Engine, pulls: Pulls) -> None:
            with pytest.raises(NotReachable):
                await until_there(pulls, pull)
            await until_there(pulls, pull)  # the next one starts anew

        try:
            run(story, f"tcp://127.0.0.1:{proxy.port}")
        finally:
            with engine.client() as client:
                client.remove_image(str(pull["image"]), force=True, noprune=True)


class TestTheCheckOfALogin:
    def check(self, address: str, password: str) -> Finding:
        return DockerRegistry(username="alice", password=password, registry_url=address).check()[-1]

    def test_the_registry_itself_is_asked(self, registry: Registry) -> None:
        good, bad = self.check(registry.address, USERS["alice"]), self.check(registry.address, "guessed-wrongly")
        assert good.ok, good
        assert not bad.ok
        assert "refused alice: 401" in bad.said
        assert "guessed-wrongly" not in f"{bad}"

    def test_a_registry_without_logins_is_not_said_to_have_taken_one(self) -> None:
        with docker_engine.registry() as lets_everybody_in:
            found = self.check(lets_everybody_in.address, "whatever")
        assert found.ok
        assert "everybody" in found.said

    def test_what_is_no_registry_is_said_to_be_none(self, registry: Registry) -> None:
        with FaultProxy(f"http://{registry.address}") as proxy:
            proxy.add(Fault("status", status=404, body=b"no such page"))
            found = self.check(f"127.0.0.1:{proxy.port}", "whatever")
        assert not found.ok
        assert "no registry" in found.said
        assert "no such page" in found.said


def make_helper(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """A program docker-credential-test in the PATH."""
    path = folder / "docker-credential-test"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def put_index(registry: Registry, repository: str, tag: str, index_tag: str, machine: str) -> None:
    """An index in the registry whose only image is that of `tag`, said to be for `machine`."""
    index_kind = "application/vnd.docker.distribution.manifest.list.v2+json"
    digest, manifest = read_manifest(registry, repository, tag)
    platform = {"architecture": machine, "os": "linux"}
    entry = {"mediaType": MANIFEST, "digest": digest, "size": len(manifest), "platform": platform}
    index = json.dumps({"schemaVersion": 2, "mediaType": index_kind, "manifests": [entry]}).encode()
    with ask_registry(registry, f"{repository}/manifests/{index_tag}", index, {"Content-Type": index_kind}) as answer:
        assert answer.status == 201


def read_manifest(registry: Registry, repository: str, tag: str) -> tuple[str, bytes]:
    """The manifest of an image in the registry: its digest, its text."""
    with ask_registry(registry, f"{repository}/manifests/{tag}", None, {"Accept": MANIFEST}) as answer:
        return answer.headers["Docker-Content-Digest"], answer.read()


def ask_registry(registry: Registry, path: str, body: bytes | None, headers: dict[str, str]) -> Any:
    """The answer to alice; with a body, that is put there."""
    login = base64.b64encode(f"alice:{USERS['alice']}".encode()).decode()
    headers = {"Authorization": f"Basic {login}", **headers}
    return urlopen(
        Request(f"http://{registry.address}/v2/{path}", body, headers, method="PUT" if body is not None else "GET")
    )


def import_bytes(client: Any, folder: Path, count: int) -> str:
    """An image of that many bytes that no compression makes fewer; its name."""
    import tarfile

    (folder / "noise").write_bytes(os.urandom(count))
    with tarfile.open(folder / "noise.tar", "w") as archive:
        archive.add(folder / "noise", "noise")
    name = f"penstock-test/noise:{uuid4().hex}"
    repository, _, tag = name.rpartition(":")
    client.import_image(str(folder / "noise.tar"), repository=repository, tag=tag)
    return name
