"""Credentials of Google Cloud. Google's packages are imported where a client is made."""

import json
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import Field, field_validator, model_validator

from penstock.blocks.base import Block
from penstock.blocks.credentials.parts import try_service
from penstock.blocks.extras import import_extra
from penstock.blocks.fields import SecretDict
from penstock.blocks.references import resolved
from penstock.errors import ConfigurationError, did_you_mean
from penstock.model.findings import Finding

SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
#: What the key file of a service account cannot do without.
_NEEDED = ("client_email", "private_key", "token_uri")


class ClientType(Enum):
    """Services of Google Cloud that `get_client` makes clients of."""

    CLOUD_STORAGE = "cloud_storage"
    BIGQUERY = "bigquery"
    SECRET_MANAGER = "secret_manager"
    AIPLATFORM = "job_service"


class GcpCredentials(Block):
    """Lets flows and infrastructure act in a Google Cloud project.

    Without a service account, what Google's library finds on the machine is used: GOOGLE_APPLICATION_CREDENTIALS, the
    login of gcloud, the service account that the machine runs as.
    """

    _block_type_name: ClassVar[str | None] = "GCP Credentials"
    _block_type_slug: ClassVar[str | None] = "gcp-credentials"
    _code_example: ClassVar[str | None] = """
        from penstock.blocks.credentials import GcpCredentials

        token = GcpCredentials.load("BLOCK_NAME").get_access_token()
    """

    service_account_file: Path | None = Field(
        default=None, description="Path of a service account's key file, on every machine that the block is used on."
    )
    service_account_info: SecretDict | None = Field(
        default=None, description="What a service account's key file holds: as mapping, or as its JSON text."
    )
    project: str | None = Field(
        default=None, description="Id of the project; by default that of the service account, or the machine's."
    )

    @field_validator("service_account_info", mode="before")
    @classmethod
    def _read_info(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError as error:
            raise ValueError(f"service_account_info is no JSON: {error}") from None

    @field_validator("service_account_info")
    @classmethod
    def _check_info(cls, value: SecretDict | None) -> SecretDict | None:
        info = value.get_secret_value() if value is not None else None
        if info is None:
            return value
        kind = info.get("type", "service_account")
        if kind != "service_account":
            raise ValueError(
                f"service_account_info is of type {kind!r}; what is needed is the key of a service account."
            )
        for name in _NEEDED:
            if name not in info:
                known = [key for key in info if key not in _NEEDED]
                raise ValueError(f"service_account_info has no {name!r}.{did_you_mean(name, known)}")
        return value

    @model_validator(mode="after")
    def _check_one_account(self) -> Self:
        if self.service_account_file is not None and self.service_account_info is not None:
            raise ValueError("service_account_file and service_account_info are two accounts: give one of them.")
        return self

    def block_initialization(self) -> None:
        if self.project is None and self.service_account_info is not None:
            self.project = self.service_account_info.get_secret_value().get("project_id")

    def get_credentials_from_service_account(self) -> Any:
        """Credentials of google-auth: those of the service account, or what it finds on the machine.

        Raises ConfigurationError if the key file cannot be used, nothing is found, or google-auth is not installed.
        """
        module = self._import("google.oauth2.service_account")
        block = resolved(self)
        source: Any
        if block.service_account_info is not None:
            make, source = module.Credentials.from_service_account_info, block.service_account_info.get_secret_value()
            where = "service_account_info"
        elif block.service_account_file is not None:
            make = module.Credentials.from_service_account_file
            source = where = str(block.service_account_file.expanduser())
        else:
            auth = self._import("google.auth")
            try:
                return auth.default(scopes=SCOPES, quota_project_id=block.project)[0]
            except auth.exceptions.DefaultCredentialsError as error:
                raise ConfigurationError(f"No credentials of Google Cloud were found: {error}") from error
        try:
            return make(source, scopes=list(SCOPES))
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"The service account's key ({where}) cannot be used: {error}") from error

    def get_access_token(self) -> str:
        """A token that Google's APIs take as bearer for an hour. Raises ConfigurationError with Google's words."""
        credentials = self.get_credentials_from_service_account()
        request = self._import("google.auth.transport.requests").Request()
        auth_errors = self._import("google.auth.exceptions")
        try:
            credentials.refresh(request)
        except auth_errors.GoogleAuthError as error:
            raise ConfigurationError(f"Google Cloud gave no access token: {error}", code="refused") from error
        return str(credentials.token)

    def check(self) -> list[Finding]:
        return try_service(super().check(), "the credentials of Google Cloud", self._ask_for_token)

    def _ask_for_token(self) -> str:
        self.get_access_token()
        return "Google gave an access token"

    def get_client(self, client_type: str | ClientType, **arguments: Any) -> Any:
        """A client of that service, from the package of Google's that has it."""
        name = client_type.value if isinstance(client_type, ClientType) else client_type
        known = [kind.value for kind in ClientType]
        if name not in known:
            raise ConfigurationError(f"There is no client {name!r} of Google Cloud.{did_you_mean(name, known)}")
        return getattr(self, f"get_{name}_client")(**arguments)

    def get_cloud_storage_client(self, project: str | None = None) -> Any:
        """`google.cloud.storage.Client`."""
        return self._make("google.cloud.storage", "Client", project=project or resolved(self).project)

    def get_bigquery_client(self, project: str | None = None, location: str | None = None) -> Any:
        """`google.cloud.bigquery.Client`."""
        return self._make(
            "google.cloud.bigquery", "Client", project=project or resolved(self).project, location=location
        )

    def get_secret_manager_client(self) -> Any:
        """`google.cloud.secretmanager.SecretManagerServiceClient`. It takes no project."""
        return self._make("google.cloud.secretmanager", "SecretManagerServiceClient")

    def get_job_service_client(self, client_options: dict[str, Any] | None = None) -> Any:
        """`google.cloud.aiplatform.gapic.JobServiceClient`. It takes no project."""
        return self._make("google.cloud.aiplatform.gapic", "JobServiceClient", client_options=client_options)

    def _make(self, module: str, name: str, **arguments: Any) -> Any:
        client = getattr(import_extra(module, extra="gcp", user=f"A client of {module}"), name)
        return client(credentials=self.get_credentials_from_service_account(), **arguments)

    @staticmethod
    def _import(module: str) -> Any:
        return import_extra(module, extra="gcp", user="GcpCredentials")
