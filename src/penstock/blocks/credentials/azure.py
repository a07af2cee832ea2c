"""Credentials of Azure. Microsoft's packages are imported where a client is made."""

from typing import Any, ClassVar, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from penstock.blocks.base import Block
from penstock.blocks.credentials.parts import Part, try_service
from penstock.blocks.extras import holds_reference, import_extra
from penstock.blocks.references import resolved
from penstock.model.findings import Finding

#: What a token is asked for: Azure's own management.
_SCOPE = "https://management.azure.com/.default"


class ACRManagedIdentity(Part):
    """Pulls images from an Azure Container Registry as a managed identity, without a password."""

    registry_url: str = Field(title="Registry URL", description="Address of the registry, e.g. example.azurecr.io.")
    identity: str = Field(
        description="The identity's resource id: /subscriptions/…/providers/Microsoft.ManagedIdentity/"
        "userAssignedIdentities/NAME."
    )


class AzureContainerInstanceCredentials(Block):
    """Lets infrastructure run containers in Azure Container Instances.

    With the three fields of a service principal it acts as that; without them as what Azure's library finds on the
    machine: environment variables, a managed identity, the login of `az`.
    """

    _block_type_name: ClassVar[str | None] = "Azure Container Instance Credentials"
    _block_type_slug: ClassVar[str | None] = "azure-container-instance-credentials"
    _code_example: ClassVar[str | None] = """
        from penstock.blocks.credentials import AzureContainerInstanceCredentials

        client = AzureContainerInstanceCredentials.load("BLOCK_NAME").get_container_client("SUBSCRIPTION_ID")
    """

    client_id: str | None = Field(
        default=None, title="Client ID", description="Application id of the service principal."
    )
    tenant_id: str | None = Field(default=None, title="Tenant ID", description="Id of the tenant it belongs to.")
    client_secret: SecretStr | None = Field(default=None, description="One of the service principal's secrets.")
    credential_kwargs: dict[str, Any] = Field(
        default_factory=dict,
        title="Additional Credential Keyword Arguments",
        description="Further arguments of azure-identity's ClientSecretCredential or DefaultAzureCredential.",
    )

    @model_validator(mode="after")
    def _check_principal(self) -> Self:
        fields = ("client_id", "tenant_id", "client_secret")
        missing = [name for name in fields if getattr(self, name) is None]
        if 0 < len(missing) < len(fields):
            raise ValueError(
                f"A service principal is client_id, tenant_id and client_secret; {' and '.join(missing)} not given. "
                "Give all three, or none to use what the machine has."
            )
        for name in fields:
            if name in self.credential_kwargs:
                raise ValueError(f"{name} belongs into the field of that name, not into credential_kwargs.")
        return self

    def get_credential(self) -> Any:
        """A credential of azure-identity."""
        block = resolved(self)
        identity = import_extra("azure.identity", extra="azure", user="AzureContainerInstanceCredentials")
        if block.client_secret is None:
            return identity.DefaultAzureCredential(**block.credential_kwargs)
        return identity.ClientSecretCredential(
            tenant_id=block.tenant_id,
            client_id=block.client_id,
            client_secret=block.client_secret.get_secret_value(),
            **block.credential_kwargs,
        )

    def check(self) -> list[Finding]:
        return try_service(super().check(), "the credentials of Azure", self._ask_for_token)

    def _ask_for_token(self) -> str:
        self.get_credential().get_token(_SCOPE)
        return "Azure gave an access token"

    def get_container_client(self, subscription_id: str) -> Any:
        """`azure.mgmt.containerinstance.ContainerInstanceManagementClient`."""
        module = import_extra("azure.mgmt.containerinstance", extra="azure", user="A client of Container Instances")
        return module.ContainerInstanceManagementClient(self.get_credential(), subscription_id)

    def get_resource_client(self, subscription_id: str) -> Any:
        """`azure.mgmt.resource.ResourceManagementClient`."""
        module = import_extra("azure.mgmt.resource", extra="azure", user="A client of Azure's resources")
        return module.ResourceManagementClient(self.get_credential(), subscription_id)


class AzureBlobStorageCredentials(Block):
    """Lets flows into an account of Azure Blob Storage: by its connection string, or as what the machine is."""

    _block_type_name: ClassVar[str | None] = "Azure Blob Storage Credentials"
    _block_type_slug: ClassVar[str | None] = "azure-blob-storage-credentials"
    _code_example: ClassVar[str | None] = """
        from penstock.blocks.credentials import AzureBlobStorageCredentials

        client = AzureBlobStorageCredentials.load("BLOCK_NAME").get_container_client("CONTAINER")
    """

    connection_string: SecretStr | None = Field(
        default=None, description="The account's connection string: it holds address and key."
    )
    account_url: str | None = Field(
        default=None,
        description="Address of the account, e.g. https://ACCOUNT.blob.core.windows.net: it is entered as what the "
        "machine is logged in as.",
    )

    @field_validator("account_url")
    @classmethod
    def _check_url(cls, value: str | None) -> str | None:
        if value is not None and not holds_reference(value) and not urlsplit(value).hostname:
            raise ValueError(f"account_url is {value!r}; it has to look like https://ACCOUNT.blob.core.windows.net.")
        return value

    @model_validator(mode="after")
    def _check_one_way(self) -> Self:
        if (self.connection_string is None) == (self.account_url is None):
            raise ValueError("Give either connection_string or account_url.")
        return self

    def get_client(self) -> Any:
        """`azure.storage.blob.BlobServiceClient`."""
        block = resolved(self)
        module = import_extra("azure.storage.blob", extra="azure", user="AzureBlobStorageCredentials")
        if block.connection_string is not None:
            return module.BlobServiceClient.from_connection_string(block.connection_string.get_secret_value())
        identity = import_extra("azure.identity", extra="azure", user="AzureBlobStorageCredentials")
        return module.BlobServiceClient(block.account_url, credential=identity.DefaultAzureCredential())

    def get_container_client(self, container: str) -> Any:
        """`azure.storage.blob.ContainerClient` of that container."""
        return self.get_client().get_container_client(container)

    def get_blob_client(self, container: str, blob: str) -> Any:
        """`azure.storage.blob.BlobClient` of that blob."""
        return self.get_client().get_blob_client(container, blob)
