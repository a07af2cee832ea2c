"""Blocks of Kubernetes, under the module name that users of Prefect 2 know."""

from penstock.blocks.credentials.kubernetes_cluster import KubernetesClusterConfig

__all__ = ["KubernetesClusterConfig"]
