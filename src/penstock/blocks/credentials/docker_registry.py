"""Login to a registry of container images."""

import re
from typing import Any, ClassVar

from pydantic import Field, SecretStr, field_validator

from penstock.blocks.base import Block
from penstock.blocks.extras import holds_reference, import_extra
from penstock.errors import ConfigurationError

_ADDRESS = re.compile(
    r"(https?://)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:\d{1,5})?(/[\w./-]*)?|\[[0-9a-f:]+\](:\d{1,5})?", re.I
)


class DockerRegistry(Block):
    """Lets infrastructure pull images from a private registry."""

    _block_type_name: ClassVar[str | None] = "Docker Registry"
    _block_type_slug: ClassVar[str | None] = "docker-registry"
    _block_schema_capabilities: ClassVar[list[str] | None] = ["docker-login"]
    _code_example: ClassVar[str | None] = """
        from penstock.infrastructure import DockerContainer
        from penstock.blocks.credentials import DockerRegistry

        registry = DockerRegistry.load("BLOCK_NAME")
        DockerContainer(image="registry.example.com/team/flows:1", image_registry=registry)
    """

    username: str = Field(description="Name to log in with.")
    password: SecretStr = Field(description="Password or access token to log in with.")
    registry_url: str = Field(
        description="Address of the registry, e.g. registry.example.com:5000; Docker Hub's is "
        "https://index.docker.io/v1/."
    )
    reauth: bool = Field(default=True, description="Whether to log in again where there is a login already.")

    @field_validator("registry_url")
    @classmethod
    def _check_address(cls, value: str) -> str:
        if not holds_reference(value) and not _ADDRESS.fullmatch(value):
            raise ValueError(f"registry_url is {value!r}; it has to look like registry.example.com:5000.")
        return value

    def get_docker_client(self) -> Any:
        """`docker.DockerClient` for the engine that the environment names. Raises ConfigurationError if there is none."""
        docker = import_extra("docker", extra="docker", user="DockerRegistry")
        try:
            return docker.from_env()
        except docker.errors.DockerException as error:
            raise ConfigurationError(
                f"No Docker engine can be reached: {error}", hint="Is it running? Otherwise set DOCKER_HOST."
            ) from error

    def login(self) -> Any:
        """Log the Docker engine in; returns its client. Raises ConfigurationError with the registry's words."""
        docker, client = import_extra("docker", extra="docker", user="DockerRegistry"), self.get_docker_client()
        try:
            client.login(
                username=self.username,
                password=self.password.get_secret_value(),
                registry=self.registry_url,
                reauth=self.reauth,
            )
        except docker.errors.DockerException as error:
            client.close()
            raise ConfigurationError(
                f"Login to {self.registry_url} as {self.username} failed: {error}", code="refused"
            ) from error
        return client
