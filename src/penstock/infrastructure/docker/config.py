"""The DockerContainer block: what you want of a container."""

from enum import Enum
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from penstock.blocks.credentials.docker_registry import DockerRegistry
from penstock.blocks.extras import holds_reference
from penstock.infrastructure.block import Infrastructure
from penstock.infrastructure.choices import read_choice
from penstock.infrastructure.docker.volumes import bytes_of, check_volumes
from penstock.infrastructure.images import check_image, default_image

#: Less than this Docker gives to no container.
_LEAST_MEMORY = 6 * 1024**2
_MODES = ("bridge", "host", "none", "default")


class ImagePullPolicy(Enum):
    """When the image is fetched from its registry."""

    IF_NOT_PRESENT = "IF_NOT_PRESENT"
    ALWAYS = "ALWAYS"
    NEVER = "NEVER"


class DockerContainer(Infrastructure):
    """Runs the flow run in a Docker container, which goes on without the agent that started it.

    The agent needs a Docker engine; the flow's code comes out of a storage or is part of the image; the API must be
    reachable from within the container.
    """

    _block_type_name: ClassVar[str | None] = "Docker Container"
    _block_type_slug: ClassVar[str | None] = "docker-container"
    _code_example: ClassVar[str | None] = """
        from penstock.infrastructure import DockerContainer

        DockerContainer(image="registry.example.com/team/flows:1", volumes=["/data:/data:ro"]).save("BLOCK_NAME")
    """

    type: Literal["docker-container"] = Field(default="docker-container", description="The type of infrastructure.")
    image: str = Field(
        default_factory=default_image,
        description="The image: [registry/]repository[:tag][@digest]. By default Penstock's own, with the version and "
        "the Python that the block was made with.",
    )
    image_pull_policy: ImagePullPolicy | None = Field(
        default=None,
        description="When the image is fetched. By default always where its tag is latest or missing, else where the "
        "engine does not have it.",
    )
    image_registry: DockerRegistry | None = Field(
        default=None, description="Login to the image's registry, if that is a private one."
    )
    networks: list[str] = Field(
        default_factory=list, description="Names of the networks that the container is attached to."
    )
    network_mode: str | None = Field(
        default=None,
        description="bridge, host, none, container:NAME, or a network's name; not together with networks. By default "
        "host on Linux where the API's address is local to the machine, else the engine's own.",
    )
    auto_remove: bool = Field(
        default=False,
        description="Whether the container is removed when the run is over. Otherwise it stays for you to look at.",
    )
    volumes: list[str] = Field(
        default_factory=list, description="Mounts, each local_path:container_path, with :ro for reading only."
    )
    stream_output: bool = Field(default=True, description="Whether the agent shows the container's output in its own.")
    memswap_limit: int | str | None = Field(
        default=None,
        description="Memory and swap together: bytes, or a number with b, k, m or g. -1: swap without limit. Needs "
        "mem_limit.",
    )
    mem_limit: float | str | None = Field(
        default=None, description="Most memory that the container may use: bytes, or a number with b, k, m or g."
    )
    privileged: bool = Field(
        default=False, description="Whether the container may do to the host all that root may do."
    )

    @field_validator("image")
    @classmethod
    def _check_image(cls, value: str) -> str:
        return value if holds_reference(value) else check_image(value)

    @field_validator("image_pull_policy", mode="before")
    @classmethod
    def _read_policy(cls, value: Any) -> Any:
        return read_choice(value, ImagePullPolicy)

    @field_validator("volumes")
    @classmethod
    def _check_volumes(cls, value: list[str]) -> list[str]:
        return check_volumes(value)

    @field_validator("network_mode")
    @classmethod
    def _check_mode(cls, value: str | None) -> str | None:
        if value is None or holds_reference(value):
            return value
        kind, colon, name = value.partition(":")
        if not value.strip():
            raise ValueError("network_mode is empty; null leaves the choice to the engine.")
        if colon and (kind != "container" or not name):
            raise ValueError(f"network_mode is {value!r}; of this kind there is container:NAME only.")
        return value.lower() if value.lower() in _MODES else value

    @field_validator("mem_limit", "memswap_limit")
    @classmethod
    def _check_amount(cls, value: Any, info: Any) -> Any:
        if value is not None and not (isinstance(value, str) and (holds_reference(value) or value.strip() == "-1")):
            bytes_of(value, info.field_name)
        return value

    @model_validator(mode="after")
    def _check_networks(self) -> Self:
        if self.networks and self.network_mode is not None:
            raise ValueError(
                f"networks and network_mode ({self.network_mode}) exclude each other: a container is attached to the "
                "networks named, or has a mode."
            )
        return self

    @model_validator(mode="after")
    def _check_memory(self) -> Self:
        if any(isinstance(value, str) and holds_reference(value) for value in (self.mem_limit, self.memswap_limit)):
            return self
        limit = None if self.mem_limit is None else bytes_of(self.mem_limit, "mem_limit")
        if limit is not None and limit < _LEAST_MEMORY:
            raise ValueError(f"mem_limit is {self.mem_limit!r}; Docker gives no container less than 6m.")
        if self.memswap_limit is None or str(self.memswap_limit).strip() == "-1":
            return self
        both = bytes_of(self.memswap_limit, "memswap_limit")
        if limit is None:
            raise ValueError("memswap_limit counts memory and swap together and needs mem_limit, which is not set.")
        if both < limit:
            raise ValueError(
                f"memswap_limit is {self.memswap_limit!r}, less than mem_limit ({self.mem_limit!r}), which it includes."
            )
        return self
