"""Login to a registry of container images."""

import base64
import os
import re
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlencode, urlsplit

from pydantic import Field, SecretStr, field_validator

from penstock.blocks.base import Block
from penstock.blocks.credentials.parts import try_service
from penstock.blocks.docker_address import engine_address, tls_config
from penstock.blocks.extras import holds_reference, import_extra
from penstock.blocks.http import Answer, Request, hide, send, words_of
from penstock.blocks.references import resolved
from penstock.errors import ConfigurationError
from penstock.model.findings import Finding

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

    def check(self) -> list[Finding]:
        return try_service(super().check(), f"the login to {self.registry_url}", self._try_login)

    def _try_login(self) -> str:
        """Ask the registry itself, as the Docker engine would. Raises ConfigurationError with its words."""
        block = resolved(self)
        password = block.password.get_secret_value()
        return _try(block.registry_url, block.username, password)

    def get_docker_client(self) -> Any:
        """`docker.DockerClient` for the engine on which containers would run: DOCKER_HOST, contexts, the usual sockets.

        Raises ConfigurationError if what names it is wrong, or if it does not answer.
        """
        docker = import_extra("docker", extra="docker", user="DockerRegistry")
        address = engine_address(os.environ, Path.home())
        tls = tls_config(docker, address.tls) if address.tls is not None else False
        try:
            # ssh as the program is used everywhere else: with the user's own keys and configuration
            return docker.DockerClient(address.url, tls=tls, use_ssh_client=address.kind == "ssh")
        except (docker.errors.DockerException, OSError) as error:
            raise ConfigurationError(
                f"The Docker engine at {address.url} does not answer: {error}",
                hint=f"Is it running? Its address comes from {address.source}; DOCKER_HOST and DOCKER_CONTEXT name another.",
            ) from error

    def login(self) -> Any:
        """Log the Docker engine in; returns its client. Raises ConfigurationError with the registry's words."""
        docker, client = import_extra("docker", extra="docker", user="DockerRegistry"), self.get_docker_client()
        block = resolved(self)
        try:
            client.login(
                username=block.username,
                password=block.password.get_secret_value(),
                registry=block.registry_url,
                reauth=block.reauth,
            )
        except docker.errors.DockerException as error:
            client.close()
            raise ConfigurationError(
                f"Login to {block.registry_url} as {block.username} failed: "
                f"{hide(str(error), [block.password.get_secret_value()])}",
                code="refused",
            ) from error
        return client


def _try(registry_url: str, username: str, password: str) -> str:
    """What to say of a login that the registry takes. Raises ConfigurationError with its words if it does not.

    The registry says first, without a login, in which way it wants one: in each request, or once for a token.
    """
    api = _api(registry_url)
    answer = _ask(api, None, password)
    if answer.is_success:
        return f"the registry lets everybody in; whether it would let {username} do more, it does not say"
    challenge = answer.headers.get("WWW-Authenticate") or ""
    if answer.status_code != 401 or not challenge:
        words = words_of(answer, [password])
        raise ConfigurationError(f"{api} is no registry's API: {answer.status_code}: {words}")
    login = "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()
    if challenge.lower().startswith("bearer "):
        answer = _ask(_token_address(registry_url, api, username, challenge), login, password)
        if answer.is_success:
            answer = _ask(api, f"Bearer {_token_in(registry_url, answer)}", password)
    else:
        answer = _ask(api, login, password)
    if not answer.is_success:
        words = words_of(answer, [password])
        raise ConfigurationError(f"{registry_url} refused {username}: {answer.status_code}: {words}")
    return f"the registry let {username} in"


def _token_address(registry_url: str, api: str, username: str, challenge: str) -> str:
    """Where a token is asked for. Raises ConfigurationError where the password would travel less safely than wanted."""
    said = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    realm = said.get("realm", "")
    if urlsplit(realm).scheme not in {"http", "https"} or not urlsplit(realm).hostname:
        raise ConfigurationError(f"{registry_url} does not say where it gives tokens.")
    if api.startswith("https:") and not realm.startswith("https:"):
        raise ConfigurationError(f"{registry_url} wants the password sent to an address without https.")
    query = {name: said[name] for name in ("service", "scope") if name in said} | {"account": username}
    return f"{realm}?{urlencode(query)}"


def _token_in(registry_url: str, answer: Answer) -> str:
    try:
        found = answer.json()
        return str(found.get("token") or found["access_token"])
    except (ValueError, LookupError, AttributeError):
        raise ConfigurationError(f"{registry_url} let the login in, and gave no token.") from None


def _api(registry_url: str) -> str:
    """Where the registry's API begins. Without a scheme it is https, but for registries of this machine."""
    if "://" not in registry_url:
        host = urlsplit(f"//{registry_url}").hostname
        registry_url = f"{'http' if _is_loopback(host) else 'https'}://{registry_url}"
    parts = urlsplit(registry_url)
    # Docker Hub's API has another address than the one that people log in with.
    host = "registry-1.docker.io" if parts.hostname in {"index.docker.io", "docker.io"} else parts.netloc
    return f"{parts.scheme}://{host}/v2/"


def _is_loopback(host: str | None) -> bool:
    """Registries of the machine itself, to which engines speak in the clear."""
    return host in {"localhost", "::1"} or bool(host and host.startswith("127."))


def _ask(url: str, authorization: str | None, password: str) -> Answer:
    headers = {"Authorization": authorization} if authorization else {}
    return send(Request("GET", url, None, headers), secrets=[*headers.values(), password])
