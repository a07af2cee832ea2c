"""Credentials of Amazon Web Services, and of stores that speak S3. boto3 is imported where a client is made."""

import os
import re
from enum import Enum
from typing import Any, ClassVar, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from penstock.blocks.base import Block
from penstock.blocks.credentials.parts import Part, try_service
from penstock.blocks.extras import holds_reference, import_extra
from penstock.blocks.references import resolved
from penstock.errors import ConfigurationError, did_you_mean
from penstock.model.findings import Finding

_REGION = re.compile(r"[a-z]{2,4}(-[a-z]+)+-\d{1,2}")


class ClientType(Enum):
    """Services of AWS that flows ask for most; `get_client` takes the name of any other as text."""

    S3 = "s3"
    ECS = "ecs"
    BATCH = "batch"
    SECRETS_MANAGER = "secretsmanager"


class AwsClientParameters(Part):
    """How clients reach the service: address, TLS, and settings of botocore."""

    api_version: str | None = Field(
        default=None,
        title="API Version",
        description="Version of the service's API; by default the newest that is known.",
    )
    use_ssl: bool = Field(default=True, title="Use SSL", description="Whether requests go over TLS.")
    verify: bool | str = Field(
        default=True,
        description="Whether the server's certificate is checked, or the path of a bundle of authorities to check it with.",
    )
    verify_cert_path: str | None = Field(
        default=None,
        title="Certificate Authority Bundle File Path",
        description="Former way to say which bundle to check with: give the path as `verify`.",
    )
    endpoint_url: str | None = Field(
        default=None,
        title="Endpoint URL",
        description="Address of the service, for stores other than Amazon's, e.g. http://minio.example.com:9000.",
    )
    config: dict[str, Any] | None = Field(
        default=None,
        title="Botocore Config",
        description='Arguments of botocore\'s Config, e.g. {"retries": {"max_attempts": 10}}.',
    )

    @field_validator("verify", "verify_cert_path", mode="before")
    @classmethod
    def _path_as_text(cls, value: Any) -> Any:
        return os.fspath(value) if isinstance(value, os.PathLike) else value

    @field_validator("endpoint_url")
    @classmethod
    def _check_endpoint(cls, value: str | None) -> str | None:
        if value is None or holds_reference(value):
            return value
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"endpoint_url is {value!r}; it has to look like https://s3.example.com.")
        return value

    @model_validator(mode="after")
    def _check_bundle(self) -> Self:
        if self.verify_cert_path is not None and self.verify is not True:
            raise ValueError("verify_cert_path and verify say two things of one; give the bundle's path as verify.")
        return self

    def get_params_override(self) -> dict[str, Any]:
        """The arguments for `boto3.client` that these fields stand for."""
        chosen: dict[str, Any] = {"use_ssl": self.use_ssl, "verify": self.verify_cert_path or self.verify}
        if self.verify is True and self.verify_cert_path is None:
            # boto3 then also minds AWS_CA_BUNDLE and its own configuration file, as everything else of AWS does.
            del chosen["verify"]
        for name in ("api_version", "endpoint_url"):
            if getattr(self, name) is not None:
                chosen[name] = getattr(self, name)
        if self.config:
            chosen["config"] = _botocore_config(self.config)
        return chosen


class AwsCredentials(Block):
    """Lets flows and infrastructure act in an AWS account.

    Without keys and profile, what boto3 finds on the machine is used: environment variables, its configuration files,
    the role of the container or the instance.
    """

    _block_type_name: ClassVar[str | None] = "AWS Credentials"
    _block_type_slug: ClassVar[str | None] = "aws-credentials"
    _code_example: ClassVar[str | None] = """
        from penstock.blocks.credentials import AwsCredentials

        AwsCredentials.load("BLOCK_NAME").get_client("s3").list_buckets()
    """

    aws_access_key_id: str | None = Field(
        default=None, title="AWS Access Key ID", description="Id of an access key, e.g. AKIAIOSFODNN7EXAMPLE."
    )
    aws_secret_access_key: SecretStr | None = Field(
        default=None, title="AWS Access Key Secret", description="The access key's secret."
    )
    aws_session_token: SecretStr | None = Field(
        default=None, title="AWS Session Token", description="Goes with temporary access keys only."
    )
    profile_name: str | None = Field(
        default=None, description="Profile of the machine's AWS configuration files that is used."
    )
    region_name: str | None = Field(default=None, description="Region that clients speak to, e.g. eu-central-1.")
    aws_client_parameters: AwsClientParameters = Field(
        default_factory=AwsClientParameters,
        title="AWS Client Parameters",
        description="How clients reach the service.",
    )

    @model_validator(mode="after")
    def _check_keys(self) -> Self:
        if (self.aws_access_key_id is None) != (self.aws_secret_access_key is None):
            missing = "aws_access_key_id" if self.aws_access_key_id is None else "aws_secret_access_key"
            raise ValueError(f"An access key is two fields, and {missing} is missing: give both or none.")
        if self.aws_session_token is not None and self.aws_access_key_id is None:
            raise ValueError("aws_session_token is of use only together with the access key it was issued with.")
        return self

    @model_validator(mode="after")
    def _check_region(self) -> Self:
        # Stores other than Amazon's name their regions as they like.
        own, region = self.aws_client_parameters.endpoint_url is None, self.region_name
        if own and region is not None and not holds_reference(region) and not _REGION.fullmatch(region):
            raise ValueError(f"region_name is {region!r}, which no region of AWS looks like; eu-central-1 is one.")
        return self

    def get_boto3_session(self) -> Any:
        """A `boto3.Session` with these keys, profile and region. Raises ConfigurationError if there is no such profile."""
        block = resolved(self)
        boto3 = import_extra("boto3", extra="aws", user="AwsCredentials")
        try:
            return boto3.Session(
                aws_access_key_id=block.aws_access_key_id,
                aws_secret_access_key=_clear(block.aws_secret_access_key),
                aws_session_token=_clear(block.aws_session_token),
                profile_name=block.profile_name,
                region_name=block.region_name,
            )
        except import_extra("botocore.exceptions", extra="aws", user="AwsCredentials").ProfileNotFound as error:
            known = boto3.Session().available_profiles
            raise ConfigurationError(f"{error}.{did_you_mean(block.profile_name or '', known)}") from error

    def get_client(self, client_type: str | ClientType, **arguments: Any) -> Any:
        """A boto3 client of that service; further arguments of `boto3.client` win over the block's.

        Raises ConfigurationError if there is no such service, or boto3 is not installed.
        """
        return _make_client(self.get_boto3_session(), client_type, resolved(self).aws_client_parameters, arguments)

    def check(self) -> list[Finding]:
        return try_service(super().check(), "the credentials of AWS", self._who_am_i)

    def _who_am_i(self) -> str:
        return str(self.get_client("sts", config=_impatient()).get_caller_identity()["Arn"])

    def get_s3_client(self) -> Any:
        """A client of S3."""
        return self.get_client(ClientType.S3)

    def get_secrets_manager_client(self) -> Any:
        """A client of the Secrets Manager."""
        return self.get_client(ClientType.SECRETS_MANAGER)


class MinIOCredentials(Block):
    """Lets flows act in a MinIO store, or another that speaks S3 and has a name and a password."""

    _block_type_name: ClassVar[str | None] = "MinIO Credentials"
    _block_type_slug: ClassVar[str | None] = "minio-credentials"
    _code_example: ClassVar[str | None] = """
        from penstock.blocks.credentials import MinIOCredentials

        MinIOCredentials.load("BLOCK_NAME").get_s3_client().list_buckets()
    """

    minio_root_user: str = Field(description="Name of the user; any user of the store will do, root or not.")
    minio_root_password: SecretStr = Field(description="The user's password.")
    region_name: str | None = Field(default=None, description="Region of the store, if it has any.")
    aws_client_parameters: AwsClientParameters = Field(
        default_factory=AwsClientParameters,
        description="How clients reach the store; its address is the endpoint_url.",
    )

    def get_boto3_session(self) -> Any:
        """A `boto3.Session` with this name and password."""
        block = resolved(self)
        return import_extra("boto3", extra="aws", user="MinIOCredentials").Session(
            aws_access_key_id=block.minio_root_user,
            aws_secret_access_key=block.minio_root_password.get_secret_value(),
            region_name=block.region_name,
        )

    def get_client(self, client_type: str | ClientType = ClientType.S3, **arguments: Any) -> Any:
        """A boto3 client of the store. Raises ConfigurationError if the block has no endpoint_url."""
        if self.aws_client_parameters.endpoint_url is None and "endpoint_url" not in arguments:
            raise ConfigurationError(
                "This MinIO Credentials block does not say where the store is.",
                code="endpoint_missing",
                hint="Set aws_client_parameters.endpoint_url, e.g. http://minio.example.com:9000.",
            )
        return _make_client(self.get_boto3_session(), client_type, resolved(self).aws_client_parameters, arguments)

    def check(self) -> list[Finding]:
        return try_service(super().check(), "the credentials of the store", self._count_buckets)

    def _count_buckets(self) -> str:
        return f"{len(self.get_client('s3', config=_impatient()).list_buckets()['Buckets'])} buckets"

    def get_s3_client(self) -> Any:
        """A client of the store's S3."""
        return self.get_client(ClientType.S3)


def _make_client(
    session: Any, client_type: str | ClientType, parameters: AwsClientParameters, arguments: dict[str, Any]
) -> Any:
    service = client_type.value if isinstance(client_type, ClientType) else client_type
    known = session.get_available_services()
    if service not in known:
        raise ConfigurationError(f"boto3 knows no service {service!r}.{did_you_mean(service, known)}")
    return session.client(service, **{**parameters.get_params_override(), **arguments})


def _botocore_config(config: dict[str, Any]) -> Any:
    module = import_extra("botocore.config", extra="aws", user="AwsClientParameters.config")
    known = module.Config.OPTION_DEFAULTS
    for name in config:
        if name not in known:
            raise ConfigurationError(f"botocore's Config has no argument {name!r}.{did_you_mean(name, known)}")
    return module.Config(**config)


def _impatient() -> Any:
    """A check says soon that nobody answers; work may wait."""
    module = import_extra("botocore.config", extra="aws", user="AWS")
    return module.Config(connect_timeout=5, read_timeout=10, retries={"max_attempts": 1})


def _clear(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret is not None else None
