"""Azure Container Instances: what you want of one."""

from penstock.blocks.credentials.azure import ACRManagedIdentity, AzureContainerInstanceCredentials
from penstock.infrastructure.aci.config import AzureContainerInstanceJob

__all__ = ["ACRManagedIdentity", "AzureContainerInstanceCredentials", "AzureContainerInstanceJob"]
