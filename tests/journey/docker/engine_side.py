"""What a Docker engine knows of the runs of one server: their containers, and what is left when they are over."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import docker
import docker.errors
from docker_engine import Engine

from penstock.agent.platforms import owner_of
from penstock.model.flow_runs import FlowRun
from penstock.testing import wait_until

_RUN_LABEL = "penstock.io/flow-run-id"
_OWNER_LABEL = "penstock.io/owner"


@dataclass(frozen=True)
class EngineSide:
    """An engine as the runs of the server at `api_url` see it, by a client of its own."""

    engine: Engine
    client: docker.APIClient
    api_url: str

    def containers(self, run: FlowRun | None = None) -> list[dict[str, Any]]:
        """All containers of that server's runs, or of one run, whatever their state."""
        label = f"{_OWNER_LABEL}={owner_of(self.api_url)}" if run is None else f"{_RUN_LABEL}={run.id}"
        found: list[dict[str, Any]] = self.client.containers(all=True, filters={"label": label})
        return found

    def container(self, run: FlowRun) -> str:
        """The id of the run's container, which runs."""

        def running() -> str | None:
            ids = [str(one["Id"]) for one in self.containers(run) if one["State"] == "running"]
            return ids[0] if ids else None

        return wait_until(running, 120, f"{run.name} has a container that runs")

    def wait_until_gone(self, run: FlowRun, timeout: float = 120) -> None:
        """Return when the engine has no container of the run any more."""
        wait_until(lambda: not self.containers(run), timeout, f"no container of {run.name} is left")

    def everything_said(self, container: str) -> str:
        """All that the engine tells of a container to whoever may ask it: its description, its output."""
        described = json.dumps(self.client.inspect_container(container))
        return described + self.client.logs(container).decode(errors="replace")

    def volumes(self) -> set[str]:
        return {str(one["Name"]) for one in self.client.volumes()["Volumes"] or []}

    @contextmanager
    def network(self, subnet: str | None = None) -> Iterator[tuple[str, str]]:
        """A network of its own for the time of the block: its name, and the machine's address in it."""
        name = f"penstock-journey-{uuid4().hex[:10]}"
        made = self.client.create_network(name, driver="bridge", labels={"penstock.test": "journey"})["Id"]
        try:
            yield name, str(self.client.inspect_network(made)["IPAM"]["Config"][0]["Gateway"])
        finally:
            for container in self.client.inspect_network(made)["Containers"] or {}:
                self.client.disconnect_container_from_network(container, made, force=True)
            self.client.remove_network(made)

    def remove_all(self) -> None:
        """Remove the containers that a test has left, whatever they do. An agent may be removing some of them as well."""
        for one in self.containers():
            with suppress(docker.errors.APIError):
                self.client.remove_container(one["Id"], v=True, force=True)
        wait_until(lambda: not self.containers(), message="nothing is left of the runs of this server")


@contextmanager
def engine_side(engine: Engine, api_url: str) -> Iterator[EngineSide]:
    """The engine from the side of that server's runs; what they have left on it is removed at the end."""
    with engine.client() as client:
        found = EngineSide(engine, client, api_url)
        try:
            yield found
        finally:
            found.remove_all()
