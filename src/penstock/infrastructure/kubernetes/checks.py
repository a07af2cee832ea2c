"""What can be tried of a KubernetesJob block before anything runs: each thing, what the cluster says, what to do."""

from penstock.infrastructure.base import Finding
from penstock.infrastructure.kubernetes.calls import Namespace
from penstock.infrastructure.kubernetes.config import KubernetesJob


async def check(namespace: Namespace, config: KubernetesJob) -> list[Finding]:
    return []
