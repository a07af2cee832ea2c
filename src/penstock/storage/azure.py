"""Storage in containers of Azure Blob Storage. adlfs is imported where a file is touched."""

from typing import Any, ClassVar, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from penstock.storage.fsspec_storage import FsspecStorage, check_no_scheme

#: Field -> argument of adlfs.
_ARGUMENTS = {
    "azure_storage_connection_string": "connection_string",
    "azure_storage_account_name": "account_name",
    "azure_storage_account_key": "account_key",
    "azure_storage_tenant_id": "tenant_id",
    "azure_storage_client_id": "client_id",
    "azure_storage_client_secret": "client_secret",
}


class Azure(FsspecStorage):
    """Keeps files in a container of Azure Blob Storage: by connection string, by account and key, or as a service principal."""

    _block_type_name: ClassVar[str | None] = "Azure"
    _block_type_slug: ClassVar[str | None] = "azure"
    _code_example: ClassVar[str | None] = """
        from penstock.filesystems import Azure

        Azure(bucket_path="my-container/flows", azure_storage_connection_string="…").save("BLOCK_NAME")
    """

    bucket_path: str = Field(description="The container, and the folder in it, e.g. my-container/a-directory-within.")
    azure_storage_connection_string: SecretStr | None = Field(
        default=None,
        title="Azure storage connection string",
        description="The account's connection string: it holds address and key.",
    )
    azure_storage_account_name: SecretStr | None = Field(
        default=None, title="Azure storage account name", description="Name of the account."
    )
    azure_storage_account_key: SecretStr | None = Field(
        default=None, title="Azure storage account key", description="One of the account's keys."
    )
    azure_storage_tenant_id: SecretStr | None = Field(
        default=None, title="Azure storage tenant ID", description="Tenant of the service principal."
    )
    azure_storage_client_id: SecretStr | None = Field(
        default=None, title="Azure storage client ID", description="Application id of the service principal."
    )
    azure_storage_client_secret: SecretStr | None = Field(
        default=None, title="Azure storage client secret", description="One of the service principal's secrets."
    )
    azure_storage_anon: bool = Field(
        default=True,
        title="Azure storage anonymous connection",
        description="Whether an account without key and principal is entered as nobody; otherwise as what the machine is.",
    )
    azure_storage_container: SecretStr | None = Field(
        default=None,
        title="Azure storage container",
        description="The container; bucket_path is then a folder in it.",
    )

    @field_validator("bucket_path")
    @classmethod
    def _check_bucket(cls, value: str) -> str:
        return check_no_scheme(value, "bucket_path")

    @model_validator(mode="after")
    def _check_way_in(self) -> Self:
        if (self.azure_storage_connection_string is None) == (self.azure_storage_account_name is None):
            raise ValueError("Give either azure_storage_connection_string or azure_storage_account_name.")
        principal = ("azure_storage_tenant_id", "azure_storage_client_id", "azure_storage_client_secret")
        missing = [name for name in principal if getattr(self, name) is None]
        if 0 < len(missing) < len(principal):
            raise ValueError(f"A service principal is three fields; {' and '.join(missing)} not given.")
        return self

    def location(self) -> str:
        container = self.azure_storage_container
        folder = self.bucket_path.strip("/")
        return f"az://{container.get_secret_value()}/{folder}" if container is not None else f"az://{folder}"

    def options(self) -> dict[str, Any]:
        chosen: dict[str, Any] = {"anon": self.azure_storage_anon}
        for name, argument in _ARGUMENTS.items():
            secret = getattr(self, name)
            if secret is not None:
                chosen[argument] = secret.get_secret_value()
        return chosen
