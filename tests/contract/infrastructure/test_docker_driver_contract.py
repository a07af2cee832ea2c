"""Docker containers pass the drivers' exam: on the engine itself, and through a proxy that can be cut."""

from collections.abc import Iterator

import pytest
from docker_engine import engine

from penstock.testing import FaultProxy
from penstock.testing.driver_contract import DriverContract

from .docker_jobs import DockerCandidate


class TestDockerDriver(DriverContract):
    @pytest.fixture(autouse=True)
    def _candidate(self) -> None:
        self.candidate = DockerCandidate(engine().address)


class TestDockerDriverThroughProxy(DriverContract):
    @pytest.fixture(autouse=True)
    def _candidate(self) -> Iterator[None]:
        with FaultProxy(engine().address) as proxy:
            self.candidate = DockerCandidate(proxy.url.replace("http://", "tcp://"), proxy)
            yield
