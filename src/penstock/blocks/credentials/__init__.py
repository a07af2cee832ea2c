"""Credentials: blocks that other blocks name to be let in somewhere. Found lazily; no platform's SDK is imported here."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock.blocks.credentials.aws import AwsClientParameters as AwsClientParameters
    from penstock.blocks.credentials.aws import AwsCredentials as AwsCredentials
    from penstock.blocks.credentials.aws import MinIOCredentials as MinIOCredentials
    from penstock.blocks.credentials.azure import ACRManagedIdentity as ACRManagedIdentity
    from penstock.blocks.credentials.azure import AzureBlobStorageCredentials as AzureBlobStorageCredentials
    from penstock.blocks.credentials.azure import AzureContainerInstanceCredentials as AzureContainerInstanceCredentials
    from penstock.blocks.credentials.docker_registry import DockerRegistry as DockerRegistry
    from penstock.blocks.credentials.gcp import GcpCredentials as GcpCredentials
    from penstock.blocks.credentials.kubernetes_cluster import KubernetesClusterConfig as KubernetesClusterConfig

#: public name -> module that holds it
_PUBLIC = {
    "ACRManagedIdentity": "azure",
    "AwsClientParameters": "aws",
    "AwsCredentials": "aws",
    "AzureBlobStorageCredentials": "azure",
    "AzureContainerInstanceCredentials": "azure",
    "DockerRegistry": "docker_registry",
    "GcpCredentials": "gcp",
    "KubernetesClusterConfig": "kubernetes_cluster",
    "MinIOCredentials": "aws",
}

__all__ = list(_PUBLIC)


def __getattr__(name: str) -> Any:
    module = _PUBLIC.get(name)
    if module is None:
        raise AttributeError(f"module 'penstock.blocks.credentials' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(f"penstock.blocks.credentials.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
