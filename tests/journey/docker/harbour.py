"""A world whose flows run in containers."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from engine_side import EngineSide

from penstock.blocks.base import Block
from penstock.infrastructure import DockerContainer
from penstock.model.deployments import Deployment
from penstock.model.flow_runs import FlowRun

if TYPE_CHECKING:
    from tests.journey.conftest import World


@dataclass(frozen=True)
class Harbour:
    """A world, the engine that its containers run on, and the image that they are made of. A `jobs_end.Place`."""

    TYPE: ClassVar[str] = "docker-container"
    INSIDE: ClassVar[str] = 'pathlib.Path("/.dockerenv").exists()'
    TIDY: ClassVar[dict[str, Any]] = {"auto_remove": True}
    KEPT: ClassVar[list[str]] = ["container"]

    world: "World"
    engine: EngineSide
    image: str

    def save(self, block: Block) -> Any:
        """Save a block on this world's server; its id."""
        return self.world.save(block)

    def deploy(self, source: str, *, queue: str = "queue", block: dict[str, Any] | None = None) -> Deployment:
        """A deployment in containers. The code, and the marks of its flows, lie in a folder that is mounted into them.

        `block`: fields of the DockerContainer beyond image and mount.
        """
        fields = {"image": self.image, "grace_seconds": 60, **(block or {})}
        folder = self.world.folder
        self.world.probes().chmod(0o777)  # whoever the image's user is
        made = DockerContainer(**{**fields, "volumes": [f"{folder}:{folder}", *fields.get("volumes", [])]})
        return self.world.deploy(source, queue=queue, infrastructure_document_id=self.save(made))

    def memory(self, mebibytes: int) -> dict[str, Any]:
        return {"mem_limit": f"{mebibytes}m", "memswap_limit": f"{mebibytes}m"}

    def remove(self, run: FlowRun) -> None:
        self.engine.client.remove_container(self.engine.container(run), v=True, force=True)

    def alive(self, run: FlowRun) -> list[str]:
        return [str(one["Id"]) for one in self.engine.containers(run) if one["State"] == "running"]

    def left(self, run: FlowRun) -> list[str]:
        return ["container" for _ in self.engine.containers(run)]

    def wait_until_gone(self, run: FlowRun) -> None:
        self.engine.wait_until_gone(run)
