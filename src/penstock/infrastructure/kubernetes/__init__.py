"""Kubernetes Jobs: what you want of one. The names are those that users of Prefect 2 import from here."""

from penstock.blocks.credentials.kubernetes_cluster import KubernetesClusterConfig
from penstock.infrastructure.kubernetes.config import (
    KubernetesImagePullPolicy,
    KubernetesJob,
    KubernetesManifest,
    KubernetesRestartPolicy,
)

__all__ = [
    "KubernetesClusterConfig",
    "KubernetesImagePullPolicy",
    "KubernetesJob",
    "KubernetesManifest",
    "KubernetesRestartPolicy",
]
