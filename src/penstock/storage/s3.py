"""Storage in buckets of S3, and of stores that speak it. s3fs is imported where a file is touched."""

import re
from typing import Any, ClassVar, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from penstock.blocks.credentials.aws import AwsCredentials, MinIOCredentials
from penstock.blocks.extras import holds_reference
from penstock.storage.fsspec_storage import FsspecStorage, check_no_scheme

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ACCESS_POINT = re.compile(r"arn:[\w:/-]+")


def check_bucket(value: str, field: str) -> str:
    """`value` if its first part can be the name of a bucket. Raises ValueError."""
    if holds_reference(check_no_scheme(value, field)):
        return value
    bucket = value.strip("/").partition("/")[0]
    if not _BUCKET.fullmatch(bucket) and not _ACCESS_POINT.match(value):
        raise ValueError(
            f"{field} is {value!r}: {bucket!r} cannot be a bucket, whose name has 3 to 63 of a-z, 0-9, . and -."
        )
    return value


class S3(FsspecStorage):
    """Keeps files in a bucket of Amazon S3. Without keys, what boto3 finds on the machine is used."""

    _block_type_name: ClassVar[str | None] = "S3"
    _block_type_slug: ClassVar[str | None] = "s3"
    _code_example: ClassVar[str | None] = """
        from penstock.filesystems import S3

        S3(bucket_path="my-bucket/flows").save("BLOCK_NAME")
    """

    bucket_path: str = Field(description="The bucket, and the folder in it, e.g. my-bucket/a-directory-within.")
    aws_access_key_id: SecretStr | None = Field(
        default=None, title="AWS Access Key ID", description="Id of an access key, e.g. AKIAIOSFODNN7EXAMPLE."
    )
    aws_secret_access_key: SecretStr | None = Field(
        default=None, title="AWS Secret Access Key", description="The access key's secret."
    )
    endpoint_url: str | None = Field(
        default=None,
        title="Endpoint URL",
        description="Address of the store if it is not Amazon's, e.g. http://minio.example.com:9000.",
    )

    @field_validator("bucket_path")
    @classmethod
    def _check_bucket(cls, value: str) -> str:
        return check_bucket(value, "bucket_path")

    @model_validator(mode="after")
    def _check_keys(self) -> Self:
        if (self.aws_access_key_id is None) != (self.aws_secret_access_key is None):
            missing = "aws_access_key_id" if self.aws_access_key_id is None else "aws_secret_access_key"
            raise ValueError(f"An access key is two fields, and {missing} is missing: give both or none.")
        return self

    def location(self) -> str:
        return f"s3://{self.bucket_path.strip('/')}"

    def options(self) -> dict[str, Any]:
        chosen: dict[str, Any] = {}
        if self.aws_access_key_id is not None and self.aws_secret_access_key is not None:
            chosen["key"] = self.aws_access_key_id.get_secret_value()
            chosen["secret"] = self.aws_secret_access_key.get_secret_value()
        if self.endpoint_url is not None:
            chosen["endpoint_url"] = self.endpoint_url
        return chosen


class S3Bucket(FsspecStorage):
    """Keeps files in a bucket of Amazon S3 or MinIO, entered with a credentials block that others can share."""

    _block_type_name: ClassVar[str | None] = "S3 Bucket"
    _block_type_slug: ClassVar[str | None] = "s3-bucket"
    _code_example: ClassVar[str | None] = """
        from penstock.blocks.credentials import AwsCredentials
        from penstock.filesystems import S3Bucket

        S3Bucket(bucket_name="my-bucket", credentials=AwsCredentials.load("team")).save("BLOCK_NAME")
    """

    bucket_name: str = Field(description="Name of the bucket.")
    credentials: AwsCredentials | MinIOCredentials = Field(
        default_factory=AwsCredentials, description="The block that says as whom and where the bucket is used."
    )
    bucket_folder: str = Field(default="", description="Folder in the bucket that all paths are relative to.")

    @field_validator("bucket_name")
    @classmethod
    def _check_bucket(cls, value: str) -> str:
        if "/" in value and not holds_reference(value) and not _ACCESS_POINT.match(value):
            raise ValueError(f"bucket_name is {value!r}; the folder belongs into bucket_folder.")
        return check_bucket(value, "bucket_name")

    def location(self) -> str:
        return f"s3://{'/'.join(filter(None, [self.bucket_name, self.bucket_folder.strip('/')]))}"

    def options(self) -> dict[str, Any]:
        credentials, parameters = self.credentials, self.credentials.aws_client_parameters
        client = parameters.get_params_override()
        client.pop("config", None)
        if credentials.region_name is not None:
            client["region_name"] = credentials.region_name
        chosen: dict[str, Any] = {"client_kwargs": client}
        if parameters.config:
            chosen["config_kwargs"] = parameters.config
        named: tuple[str | SecretStr | None, ...]
        if isinstance(credentials, MinIOCredentials):
            named = (credentials.minio_root_user, credentials.minio_root_password, None)
        else:
            named = (credentials.aws_access_key_id, credentials.aws_secret_access_key, credentials.aws_session_token)
            if credentials.profile_name is not None:
                chosen["profile"] = credentials.profile_name
        for name, value in zip(("key", "secret", "token"), named, strict=True):
            if value is not None:
                chosen[name] = value.get_secret_value() if isinstance(value, SecretStr) else value
        return chosen
