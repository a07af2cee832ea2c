"""Docker containers pass the drivers' exam: through a proxy that can be cut; on the engine itself, and on Podman, in the long tests."""

import dataclasses
import os
from collections.abc import Iterator
from typing import Any

import pytest
from docker_engine import Engine, engine, podman_engine

from penstock.infrastructure.base import Job
from penstock.testing import FaultProxy
from penstock.testing.driver_contract import DriverContract

from .docker_jobs import DockerCandidate, address_of, request_of

LONG = pytest.mark.skipif("PENSTOCK_TEST_SOAK" not in os.environ, reason="takes long: set PENSTOCK_TEST_SOAK")


@pytest.mark.soak
@LONG
class TestDockerDriver(DriverContract):
    @pytest.fixture(autouse=True)
    def _candidate(self) -> None:
        self.candidate = DockerCandidate(engine().address)


class TestDockerDriverThroughProxy(DriverContract):
    @pytest.fixture(autouse=True)
    def _candidate(self) -> Iterator[None]:
        with FaultProxy(engine().address) as proxy:
            self.candidate = DockerCandidate(address_of(proxy), proxy)
            yield


#: A first process as Docker has one of its own: it passes SIGTERM on, and ends as its child does.
FIRST_PROCESS = (
    "sh",
    "-c",
    'trap "kill -TERM \\$child" TERM; "$@" & child=$!; wait $child; code=$?; '
    "while kill -0 $child 2>/dev/null; do wait $child; code=$?; done; exit $code",
    "sh",
)


class PodmanCandidate(DockerCandidate):
    """Podman has a first process for containers only where catatonit is installed."""

    patience = 60.0

    def request(self, job: Job) -> Any:
        command = (*FIRST_PROCESS, *job.command)
        return request_of(dataclasses.replace(job, command=command), {"init": False})


@pytest.mark.soak
@LONG
class TestPodmanDriver(DriverContract):
    """Podman speaks Docker's API, with words and gaps of its own."""

    @pytest.fixture(autouse=True)
    def _candidate(self, podman: Engine) -> None:
        self.candidate = PodmanCandidate(podman.address)


@pytest.fixture(scope="module")
def podman() -> Iterator[Engine]:
    with podman_engine() as running:
        yield running
