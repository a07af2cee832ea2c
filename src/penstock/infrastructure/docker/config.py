"""The DockerContainer block: what you want of a container."""

import json
from collections.abc import Mapping
from enum import Enum
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from penstock import settings
from penstock.blocks.credentials.docker_registry import DockerRegistry
from penstock.blocks.extras import holds_reference
from penstock.infrastructure.block import Infrastructure, mask_if_secret
from penstock.infrastructure.choices import read_choice
from penstock.infrastructure.containers import ENGINE_COMMAND
from penstock.infrastructure.docker import fields
from penstock.infrastructure.docker.host import Host, this_host
from penstock.infrastructure.docker.network import Way, way_to_api
from penstock.infrastructure.docker.raw import override_schema, read_raw
from penstock.infrastructure.docker.volumes import check_targets
from penstock.infrastructure.images import check_image, default_image
from penstock.infrastructure.job import OWN_LABELS
from penstock.infrastructure.shown import with_masked_options
from penstock.infrastructure.variables import API_URL, INTERNAL_PREFIX
from penstock.model.base import JSONObject
from penstock.model.secret_texts import masked

#: Fields of the raw host configuration that say what a field of the block says.
_NOT_WITH = {"cpus": ("CpuQuota", "CpuPeriod"), "gpus": ("DeviceRequests",)}
#: What a preview does not show merely because it is set.
_NOT_PREVIEWED = frozenset(
    {"type", "env", "networks", "stream_output", "image_pull_policy", "image_registry"}
    | set(Infrastructure.model_fields)
)


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
    _override_schemas: ClassVar[Mapping[str, JSONObject]] = {
        name: override_schema(name) for name in ("host_config", "config")
    }

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
    networks: fields.Networks = Field(
        default_factory=list, description="Names of the networks that the container is attached to."
    )
    network_mode: fields.Mode | None = Field(
        default=None,
        description="bridge, host, none, container:NAME, or a network's name; not together with networks. By default "
        "host on Linux where the API's address is local to the machine, else the engine's own.",
    )
    auto_remove: bool = Field(
        default=False,
        description="Whether the container is removed when the run is over. Otherwise it stays for you to look at.",
    )
    volumes: fields.Volumes = Field(
        default_factory=list, description="Mounts, each local_path:container_path, with :ro for reading only."
    )
    stream_output: bool = Field(default=True, description="Whether the agent shows the container's output in its own.")
    memswap_limit: fields.MemSwap = Field(
        default=None,
        description="Memory and swap together: bytes, or a number with b, k, m or g. -1: swap without limit. Needs "
        "mem_limit.",
    )
    mem_limit: fields.Memory = Field(
        default=None, description="Most memory that the container may use: bytes, or a number with b, k, m or g."
    )
    privileged: bool = Field(
        default=False, description="Whether the container may do to the host all that root may do."
    )

    cpus: fields.Cpus | None = Field(default=None, description="Most processors that the container may use, e.g. 1.5.")
    gpus: fields.Gpus = Field(
        default=None, description="GPUs: all, how many, or a list of the ids of which. Needs a runtime that has them."
    )
    shm_size: fields.Size = Field(
        default=None,
        description="Size of /dev/shm: bytes, or a number with b, k, m or g. By default the engine's, 64m.",
    )
    user: fields.User = Field(
        default=None, description="Who runs in the container: user[:group], names or numbers. By default the image's."
    )
    mounts: fields.Mounts = Field(
        default_factory=list,
        description="Mounts with all that they may have; each may be written as type=…,source=…,target=….",
    )
    tmpfs: fields.Tmpfs = Field(
        default_factory=list, description="Folders in memory, each container_path[:options], e.g. /scratch:size=64m."
    )
    ulimits: fields.Ulimits = Field(
        default_factory=dict, description="Limits of Linux by name: a number, soft:hard, or -1 for none."
    )
    ports: fields.Ports = Field(
        default_factory=list, description="Published ports, each [[address:][host_port]:]container_port[/protocol]."
    )
    extra_hosts: fields.Hosts = Field(
        default_factory=dict, description="Names of hosts and their addresses; host-gateway is the machine itself."
    )
    dns: fields.Servers = Field(default_factory=list, description="Addresses of name servers, instead of the engine's.")
    platform: fields.Platform | None = Field(
        default=None, description="os/architecture of the image, where it is there for several, e.g. linux/arm64."
    )
    entrypoint: list[str] | None = Field(
        default=None, description="What the command is given to, instead of the image's; an empty list: nothing."
    )
    working_dir: fields.Folder | None = Field(
        default=None, description="Folder in the container that it starts in. By default the image's."
    )
    cap_add: fields.Capabilities = Field(default_factory=list, description="Capabilities of Linux to add, or ALL.")
    cap_drop: fields.Capabilities = Field(
        default_factory=list, description="Capabilities of Linux to take away, or ALL."
    )
    read_only: bool = Field(default=False, description="Whether the container can write to nothing but its mounts.")
    init: bool | None = Field(
        default=None,
        description="Whether a small init of the engine's runs first, which collects processes that nobody waits for.",
    )
    runtime: fields.Runtime | None = Field(default=None, description="The engine's runtime by name, e.g. nvidia.")
    pids_limit: fields.Pids | None = Field(
        default=None, description="Most processes and threads in the container; -1: no limit."
    )
    devices: fields.Devices = Field(
        default_factory=list, description="Devices of the host, each host_path[:container_path[:rwm]]."
    )
    host_config: dict[str, Any] = Field(
        default_factory=dict,
        description="Whatever else the engine's API has in HostConfig, under its names, e.g. {OomScoreAdj: 500}.",
    )
    config: dict[str, Any] = Field(
        default_factory=dict,
        description="Whatever else the engine's API has in Config, under its names, e.g. {Hostname: worker}.",
    )

    @field_validator("env")
    @classmethod
    def _check_env(cls, value: dict[str, str | None]) -> dict[str, str | None]:
        for name, text in value.items():
            if not name or "=" in name or "\0" in name + (text or ""):
                raise ValueError(f"{name!r} is no variable: names are not empty and hold no '=', nothing holds a NUL.")
            if name.startswith(INTERNAL_PREFIX):
                raise ValueError(f"{name} is Penstock's own: it carries the attempt.")
        return value

    @field_validator("labels")
    @classmethod
    def _check_labels(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            if not name or name.startswith(OWN_LABELS):
                raise ValueError(f"{name!r} cannot be a label of yours: jobs are found by those of {OWN_LABELS}….")
        return value

    @field_validator("image")
    @classmethod
    def _check_image(cls, value: str) -> str:
        return value if holds_reference(value) else check_image(value)

    @field_validator("image_pull_policy", mode="before")
    @classmethod
    def _read_policy(cls, value: Any) -> Any:
        return read_choice(value, ImagePullPolicy)

    @field_validator("entrypoint", mode="before")
    @classmethod
    def _split_entrypoint(cls, value: Any) -> Any:
        return cls._split_command(value)

    @field_validator("host_config", "config", mode="before")
    @classmethod
    def _read_raw(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, dict):
            return read_raw(value, str(info.field_name), frozenset(cls.model_fields))
        return value

    @model_validator(mode="after")
    def _check_networks(self) -> Self:
        mode = self.network_mode
        if self.networks and mode is not None:
            raise ValueError(
                f"networks and network_mode ({mode}) exclude each other: a container is attached to the networks named, "
                "or has a mode."
            )
        fields.check_mode_with(
            mode, {"ports": bool(self.ports), "extra_hosts": bool(self.extra_hosts), "dns": bool(self.dns)}
        )
        return self

    @model_validator(mode="after")
    def _check_mounts(self) -> Self:
        check_targets(fields.mounted(self.volumes, self.mounts, self.tmpfs))
        return self

    @model_validator(mode="after")
    def _check_memory(self) -> Self:
        fields.check_memory(self.mem_limit, self.memswap_limit, self.host_config.get("MemoryReservation"))
        return self

    @model_validator(mode="after")
    def _check_raw(self) -> Self:
        for field, names in _NOT_WITH.items():
            for name in names:
                if getattr(self, field) is not None and self.host_config.get(name):
                    raise ValueError(f"{field} and host_config.{name} exclude each other: they say the same.")
        return self

    def snapshot(self) -> JSONObject:
        found: JSONObject = with_masked_options(super().snapshot())
        return found

    def preview(self) -> str:
        """What the container is made from as JSON, before anything of a run is known; secrets are masked.

        The API's address and the settings are those that are in force here.
        """
        way = self.way_to_api(str(self.env.get(API_URL) or settings.get(API_URL) or ""))
        environment = {**settings.for_jobs(), **({API_URL: way.api_url} if way.api_url else {}), **self.env}
        shown: JSONObject = {
            "image": self.image,
            "network": self.networks[0] if self.networks else None,
            "network_mode": way.mode,
            "command": self.command or [*ENGINE_COMMAND],
            "environment": {name: mask_if_secret(name, value) for name, value in environment.items()},
            "auto_remove": self.auto_remove,
            "labels": self.labels,
            "extra_hosts": {**way.extra_hosts, **self.extra_hosts},
            "name": self.name,
            "volumes": self.volumes,
            "mem_limit": self.mem_limit,
            "memswap_limit": self.memswap_limit,
            "privileged": self.privileged,
        }
        others = {name: value for name, value in self.snapshot().items() if name not in _NOT_PREVIEWED}
        said = {
            name: value for name, value in others.items() if name not in shown and value not in (None, False, [], {})
        }
        return json.dumps(masked(shown | said), ensure_ascii=False)

    def way_to_api(self, api_url: str, host: Host | None = None) -> Way:
        """How containers of this block reach the API at `api_url`. `host`: where they run, by default as it is seen here.

        Raises Unsupported if they cannot.
        """
        return way_to_api(
            api_url,
            self.network_mode,
            host or this_host(),
            own_network=bool(self.networks or self.ports),
            verbatim=bool(self.env.get(API_URL)),
        )
