"""Credentials: blocks that other blocks name to be let in somewhere. Found lazily; no platform's SDK is imported here."""

from typing import TYPE_CHECKING

from penstock.lazy import public_names

if TYPE_CHECKING:
    from penstock.blocks.credentials.aws import AwsClientParameters as AwsClientParameters
    from penstock.blocks.credentials.aws import AwsCredentials as AwsCredentials
    from penstock.blocks.credentials.aws import MinIOCredentials as MinIOCredentials
    from penstock.blocks.credentials.azure import ACRManagedIdentity as ACRManagedIdentity
    from penstock.blocks.credentials.azure import AzureBlobStorageCredentials as AzureBlobStorageCredentials
    from penstock.blocks.credentials.azure import AzureContainerInstanceCredentials as AzureContainerInstanceCredentials
    from penstock.blocks.credentials.code_hosts import BitBucketCredentials as BitBucketCredentials
    from penstock.blocks.credentials.code_hosts import GitLabCredentials as GitLabCredentials
    from penstock.blocks.credentials.docker_registry import DockerRegistry as DockerRegistry
    from penstock.blocks.credentials.gcp import GcpCredentials as GcpCredentials
    from penstock.blocks.credentials.kubernetes_cluster import KubernetesClusterConfig as KubernetesClusterConfig

#: public name -> module that holds it
_PUBLIC = {
    "ACRManagedIdentity": "penstock.blocks.credentials.azure",
    "AwsClientParameters": "penstock.blocks.credentials.aws",
    "AwsCredentials": "penstock.blocks.credentials.aws",
    "AzureBlobStorageCredentials": "penstock.blocks.credentials.azure",
    "AzureContainerInstanceCredentials": "penstock.blocks.credentials.azure",
    "BitBucketCredentials": "penstock.blocks.credentials.code_hosts",
    "DockerRegistry": "penstock.blocks.credentials.docker_registry",
    "GcpCredentials": "penstock.blocks.credentials.gcp",
    "GitLabCredentials": "penstock.blocks.credentials.code_hosts",
    "KubernetesClusterConfig": "penstock.blocks.credentials.kubernetes_cluster",
    "MinIOCredentials": "penstock.blocks.credentials.aws",
}

__all__ = list(_PUBLIC)
__getattr__, __dir__ = public_names(__name__, _PUBLIC)
