"""A world whose flows run in pods."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import uuid4

from cluster_side import ClusterSide, cluster_side
from kubernetes_cluster import Cluster

from penstock.infrastructure import KubernetesJob
from penstock.model.deployments import Deployment
from penstock.model.flow_runs import FlowRun

if TYPE_CHECKING:
    from tests.journey.conftest import World

#: The first way out of loopback is a key.
KEY = f"the-servers-key-{uuid4().hex}"


def environment(cluster: Cluster) -> dict[str, str]:
    """What a server, its agents and its users need so that pods reach it, and they the cluster."""
    assert cluster.host is not None
    return {
        "KUBECONFIG": str(cluster.kubeconfig),
        "PENSTOCK_SERVER_API_HOST": cluster.host,
        "PENSTOCK_SERVER_API_KEY": KEY,
        "PENSTOCK_API_KEY": KEY,
    }


@dataclass(frozen=True)
class PodsWorld:
    """A world, the namespace that its pods run in, and the image that they are made of. A `jobs_end.Place`."""

    TYPE: ClassVar[str] = "kubernetes-job"
    INSIDE: ClassVar[str] = '"KUBERNETES_SERVICE_HOST" in os.environ'
    TIDY: ClassVar[dict[str, Any]] = {}
    KEPT: ClassVar[list[str]] = ["Job", "Pod", "Secret"]

    world: "World"
    side: ClusterSide
    image: str

    def deploy(self, source: str, *, queue: str = "queue", block: dict[str, Any] | None = None) -> Deployment:
        """A deployment in pods. The code, and the marks of its flows, lie in a folder of the node's, which is this machine.

        `block`: fields of the KubernetesJob beyond image and folder.
        """
        folder = str(self.world.folder)
        self.world.probes().chmod(0o777)  # whoever the image's user is
        fields = {
            "image": self.image,
            "namespace": self.side.namespace,
            "grace_seconds": 5,
            "volumes": [{"name": "world", "hostPath": {"path": folder}}],
            "volume_mounts": [{"name": "world", "mountPath": folder}],
            **(block or {}),
        }
        return self.world.deploy(
            source, queue=queue, infrastructure_document_id=self.world.save(KubernetesJob(**fields))
        )

    def memory(self, mebibytes: int) -> dict[str, Any]:
        # a shell outlives the engine by a moment: of a container that ends at once, containerd tells a busy kubelet now
        # and then that it was killed before it tells that this was for memory, and the kubelet does not ask again
        command = ["sh", "-c", "python -m penstock.engine; code=$?; sleep 2; exit $code"]
        return {"resources": {"limits": {"memory": f"{mebibytes}Mi"}}, "command": command}

    def remove(self, run: FlowRun) -> None:
        self.side.delete_pod(self.side.pod(run), "--grace-period=1")

    def alive(self, run: FlowRun) -> list[str]:
        return self.side.alive(run)

    def left(self, run: FlowRun) -> list[str]:
        return self.side.kinds(run)

    def wait_until_gone(self, run: FlowRun) -> None:
        self.side.wait_until_gone(run)


@contextmanager
def pods_world(make_world: Any, folder: Path, cluster: Cluster, image: str) -> Iterator[PodsWorld]:
    """A world without an agent, in a namespace of its own."""
    with (
        make_world(folder / "world", env=environment(cluster)) as world,
        cluster_side(cluster, world.server.api_url) as side,
    ):
        yield PodsWorld(world, side, image)
