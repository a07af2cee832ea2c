"""Docker as the drivers' exam meets it: small containers on a real engine, reached directly or through a proxy."""

import asyncio
import contextlib
import io
import tarfile
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from docker_engine import busybox_image, engine

from penstock import clock
from penstock.blocks.docker_address import engine_address
from penstock.infrastructure.base import Driver, Handle, Job
from penstock.infrastructure.docker import DockerContainer
from penstock.infrastructure.docker.connection import Engine
from penstock.infrastructure.docker.driver import DockerDriver
from penstock.infrastructure.docker.render import render
from penstock.infrastructure.names import job_name
from penstock.infrastructure.variables import ATTEMPT_ID, ATTEMPT_TOKEN, FLOW_RUN_ID
from penstock.model.attempts import Observation
from penstock.testing import FaultProxy
from penstock.testing.driver_contract import Candidate

#: Seconds within which anything is expected to happen.
PATIENCE = 120.0
#: A job that lives until it is stopped.
LONG = ("sh", "-c", "trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done")
#: A part of a program that waits until `let_go` is called.
WAITS = "while [ ! -e /go ]; do sleep 0.05; done"


def driver_at(address: str) -> DockerDriver:
    """A new driver of the engine at `address`."""
    return DockerDriver(Engine(engine_address({"DOCKER_HOST": address}, Path("/nonexistent"))))


def address_of(proxy: FaultProxy) -> str:
    return proxy.url.replace("http://", "tcp://")


def request_of(job: Job, host_config: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """The request that runs `job` in the small image, with no network, and something else as its first process."""
    fields = {"network_mode": "none", **fields}
    if "image" not in fields:
        fields["image"] = busybox_image()
    request = render(DockerContainer(**fields), job)
    request["host_config"].update({"init": True, **(host_config or {})})
    return request


class DockerCandidate(Candidate):
    """The engine at `address`; through `proxy`, if there is one, which can be cut."""

    def __init__(self, address: str, proxy: FaultProxy | None = None) -> None:
        self.address, self.proxy = address, proxy

    def driver(self) -> Driver:
        return driver_at(self.address)

    def request(self, job: Job) -> Any:
        return request_of(job)

    def refused(self, job: Job) -> Any:
        # with nothing of Docker's before it, so that Docker itself has to execute it
        return request_of(job, {"init": False}, command=["no-such-command"])

    @contextlib.contextmanager
    def _cut(self, proxy: FaultProxy) -> Iterator[None]:
        proxy.refuse()
        try:
            yield
        finally:
            proxy.refuse(False)

    def cut(self) -> contextlib.AbstractContextManager[None] | None:
        return None if self.proxy is None else self._cut(self.proxy)


class Jobs:
    """Jobs of one test, with an owner of their own; nothing of them is left when it is over."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.owner = uuid4().hex[:16]

    def job(self, command: Sequence[str] = LONG) -> Job:
        attempt_id, flow_run_id = uuid4(), uuid4()
        return Job(
            name=job_name("Docker", attempt_id),
            title="Docker",
            attempt_id=attempt_id,
            flow_run_id=flow_run_id,
            owner=self.owner,
            command=command,
            env={ATTEMPT_ID: str(attempt_id), FLOW_RUN_ID: str(flow_run_id)},
            secret_env={ATTEMPT_TOKEN: "a-token"},
            labels={"penstock.io/owner": self.owner},
        )

    def request(self, command: Sequence[str] = LONG, **changes: Any) -> dict[str, Any]:
        return request_of(self.job(command), **changes)

    def ask(self, question: Callable[[DockerDriver], Coroutine[Any, Any, None]], address: str | None = None) -> None:
        """Put `question` to a driver of the engine, or of the one at `address`, and clear away what it has made."""

        async def put() -> None:
            async with opened(address or self.address) as driver:
                try:
                    await question(driver)
                finally:
                    await self._clean_up()

        asyncio.run(put())

    async def _clean_up(self) -> None:
        async with opened(self.address) as driver:
            for found in await driver.find(self.owner):
                await driver.stop(found.handle, 0)
                await driver.remove(found.handle)


@contextlib.asynccontextmanager
async def opened(address: str) -> AsyncIterator[DockerDriver]:
    driver = driver_at(address)
    try:
        yield driver
    finally:
        await driver.close()


async def until(driver: DockerDriver, handle: Handle, *statuses: str) -> Observation:
    """What is seen of the job once it has one of these statuses."""
    deadline = clock.monotonic() + PATIENCE
    while (seen := (await driver.observe([handle]))[0]).status not in statuses:
        assert clock.monotonic() < deadline, f"it does not become {statuses}: {seen!r}"
        await driver.wait_for_news(0.05)
    return seen


async def until_written(driver: DockerDriver, handle: Handle, text: str) -> None:
    deadline = clock.monotonic() + PATIENCE
    while text not in (written := (await driver.output(handle)).text):
        assert clock.monotonic() < deadline, f"it has written {written!r}, not {text!r}"
        await driver.wait_for_news(0.05)


def let_go(handle: Handle) -> None:
    """Let a container of the shared engine go on that is at `WAITS`."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("go"))
    with engine().client() as client:
        client.put_archive(handle.data["id"], "/", packed.getvalue())


async def retried(call: Callable[[], Awaitable[Any]], error: type[Exception]) -> Any:
    """What `call` returns once it does not raise `error` any more."""
    deadline = clock.monotonic() + PATIENCE
    while True:
        try:
            return await call()
        except error:
            assert clock.monotonic() < deadline
            await asyncio.sleep(0.05)
