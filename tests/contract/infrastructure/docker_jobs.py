"""Docker as the drivers' exam meets it: small containers on a real engine, reached directly or through a proxy."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docker_engine import busybox_image

from penstock.infrastructure.base import Driver, Job
from penstock.infrastructure.docker import DockerContainer
from penstock.infrastructure.docker.address import engine_address
from penstock.infrastructure.docker.connection import Engine
from penstock.infrastructure.docker.driver import DockerDriver
from penstock.infrastructure.docker.render import render
from penstock.testing import FaultProxy
from penstock.testing.driver_contract import Candidate


def driver_at(address: str) -> DockerDriver:
    """A new driver of the engine at `address`."""
    return DockerDriver(Engine(engine_address({"DOCKER_HOST": address}, Path("/nonexistent"))))


def request_of(job: Job, host_config: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """The request that runs `job` in the small image, with no network, and something else as its first process."""
    fields = {"image": busybox_image(), "network_mode": "none", **fields}
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
