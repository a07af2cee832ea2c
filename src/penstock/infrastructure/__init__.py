"""Infrastructure: where and how a flow run's job runs. The blocks, found lazily; the contract is in `base`."""

from typing import TYPE_CHECKING

from penstock.lazy import public_names

if TYPE_CHECKING:
    from penstock.blocks.credentials.docker_registry import DockerRegistry as DockerRegistry
    from penstock.blocks.credentials.kubernetes_cluster import KubernetesClusterConfig as KubernetesClusterConfig
    from penstock.infrastructure.aci.config import AzureContainerInstanceJob as AzureContainerInstanceJob
    from penstock.infrastructure.block import Infrastructure as Infrastructure
    from penstock.infrastructure.cloud_run.config import CloudRunJob as CloudRunJob
    from penstock.infrastructure.docker.config import DockerContainer as DockerContainer
    from penstock.infrastructure.docker.config import ImagePullPolicy as ImagePullPolicy
    from penstock.infrastructure.ecs.config import ECSTask as ECSTask
    from penstock.infrastructure.kubernetes.config import KubernetesImagePullPolicy as KubernetesImagePullPolicy
    from penstock.infrastructure.kubernetes.config import KubernetesJob as KubernetesJob
    from penstock.infrastructure.kubernetes.config import KubernetesManifest as KubernetesManifest
    from penstock.infrastructure.kubernetes.config import KubernetesRestartPolicy as KubernetesRestartPolicy
    from penstock.infrastructure.process.config import Process as Process

#: public name -> module that holds it
_PUBLIC = {
    "AzureContainerInstanceJob": "penstock.infrastructure.aci.config",
    "CloudRunJob": "penstock.infrastructure.cloud_run.config",
    "DockerContainer": "penstock.infrastructure.docker.config",
    "DockerRegistry": "penstock.blocks.credentials.docker_registry",
    "ECSTask": "penstock.infrastructure.ecs.config",
    "ImagePullPolicy": "penstock.infrastructure.docker.config",
    "Infrastructure": "penstock.infrastructure.block",
    "KubernetesClusterConfig": "penstock.blocks.credentials.kubernetes_cluster",
    "KubernetesImagePullPolicy": "penstock.infrastructure.kubernetes.config",
    "KubernetesJob": "penstock.infrastructure.kubernetes.config",
    "KubernetesManifest": "penstock.infrastructure.kubernetes.config",
    "KubernetesRestartPolicy": "penstock.infrastructure.kubernetes.config",
    "Process": "penstock.infrastructure.process.config",
}

__all__ = list(_PUBLIC)
__getattr__, __dir__ = public_names(__name__, _PUBLIC)
