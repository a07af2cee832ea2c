"""Storage in buckets of Google Cloud Storage. gcsfs is imported where a file is touched."""

import json
from typing import Any, ClassVar

from pydantic import Field, SecretStr, field_validator

from penstock.blocks.credentials.gcp import GcpCredentials
from penstock.blocks.extras import holds_reference
from penstock.storage.fsspec_storage import FsspecStorage, check_no_scheme


class GCS(FsspecStorage):
    """Keeps files in a bucket of Google Cloud Storage. Without a service account, what the machine has is used."""

    _block_type_name: ClassVar[str | None] = "GCS"
    _block_type_slug: ClassVar[str | None] = "gcs"
    _code_example: ClassVar[str | None] = """
        from penstock.filesystems import GCS

        GCS(bucket_path="my-bucket/flows").save("BLOCK_NAME")
    """

    bucket_path: str = Field(description="The bucket, and the folder in it, e.g. my-bucket/a-directory-within.")
    service_account_info: SecretStr | None = Field(
        default=None, description="What a service account's key file holds, as JSON text."
    )
    project: str | None = Field(default=None, description="Id of the project; by default that of the service account.")

    @field_validator("bucket_path")
    @classmethod
    def _check_bucket(cls, value: str) -> str:
        return check_no_scheme(value, "bucket_path")

    @field_validator("service_account_info")
    @classmethod
    def _check_info(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not holds_reference(value.get_secret_value()):
            GcpCredentials(service_account_info=value.get_secret_value())
        return value

    def location(self) -> str:
        return f"gs://{self.bucket_path.strip('/')}"

    def options(self) -> dict[str, Any]:
        chosen: dict[str, Any] = {"project": self.project} if self.project is not None else {}
        if self.service_account_info is not None:
            chosen["token"] = json.loads(self.service_account_info.get_secret_value())
            chosen.setdefault("project", chosen["token"].get("project_id"))
        return chosen


class GcsBucket(FsspecStorage):
    """Keeps files in a bucket of Google Cloud Storage, entered with a credentials block that others can share."""

    _block_type_name: ClassVar[str | None] = "GCS Bucket"
    _block_type_slug: ClassVar[str | None] = "gcs-bucket"
    _code_example: ClassVar[str | None] = """
        from penstock.blocks.credentials import GcpCredentials
        from penstock.filesystems import GcsBucket

        GcsBucket(bucket="my-bucket", gcp_credentials=GcpCredentials.load("team")).save("BLOCK_NAME")
    """

    bucket: str = Field(description="Name of the bucket.")
    gcp_credentials: GcpCredentials = Field(
        default_factory=GcpCredentials, description="The block that says as whom the bucket is used."
    )
    bucket_folder: str = Field(default="", description="Folder in the bucket that all paths are relative to.")

    @field_validator("bucket")
    @classmethod
    def _check_bucket(cls, value: str) -> str:
        if "/" in value.split("://")[-1] and not holds_reference(value):
            raise ValueError(f"bucket is {value!r}; the folder belongs into bucket_folder.")
        return check_no_scheme(value, "bucket")

    def location(self) -> str:
        return f"gs://{'/'.join(filter(None, [self.bucket, self.bucket_folder.strip('/')]))}"

    def options(self) -> dict[str, Any]:
        told = self.gcp_credentials
        chosen: dict[str, Any] = {"project": told.project} if told.project is not None else {}
        if told.service_account_info is not None:
            chosen["token"] = told.service_account_info.get_secret_value()
        elif told.service_account_file is not None:
            chosen["token"] = str(told.service_account_file.expanduser())
        return chosen
