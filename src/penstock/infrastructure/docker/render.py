"""From a DockerContainer block and a job to the exact requests that the Docker engine gets. Pure.

pull         the image, when to fetch it, and the login to its registry
create       the keyword arguments of docker's APIClient.create_container
host_config  those of APIClient.create_host_config, whose result is create's host_config
connect      the networks that the container is connected to after it was made
remove       whether the container is removed when the run is over and what it said is safe
"""

import sys
from typing import Any

from penstock.blocks.extras import holds_reference
from penstock.infrastructure import containers
from penstock.infrastructure.base import Job
from penstock.infrastructure.docker.config import DockerContainer, ImagePullPolicy
from penstock.infrastructure.docker.marks import marks_of
from penstock.infrastructure.docker.volumes import bytes_of, read_volume
from penstock.infrastructure.job import with_block
from penstock.infrastructure.variables import API_URL
from penstock.model.base import JSONObject

#: The name by which containers reach the machine that they run on.
HOST = "host.docker.internal"
NAME_LABEL = "penstock.io/name"


def render(config: DockerContainer, job: Job, on_linux: bool = sys.platform == "linux") -> JSONObject:
    """The requests for `job`. `on_linux`: whether containers can be in the network of this machine itself."""
    merged = with_block(job, config)
    local = containers.local_host_in(str(merged.env.get(API_URL) or ""))
    mode = config.network_mode
    if mode is None and not config.networks and local is not None and on_linux:
        mode = "host"
    env: dict[str, Any] = containers.variables_of(merged)
    by_gateway = local is not None and mode != "host" and API_URL not in config.env
    if local is not None and by_gateway:
        env[API_URL] = env[API_URL].replace(local, HOST, 1)
    volumes = [read_volume(text) for text in config.volumes if not holds_reference(text)]
    return {
        "pull": _pull(config),
        "create": {
            "image": config.image,
            "command": containers.command_of(merged),
            "name": merged.name,
            "environment": {**env, **containers.secrets_of(merged)},
            "labels": {**merged.labels, NAME_LABEL: merged.title, **marks_of(job, config.auto_remove)},
            "volumes": [volume.target for volume in volumes],
            "detach": True,
        },
        "host_config": {
            "binds": config.volumes,
            "network_mode": config.networks[0] if config.networks else mode,
            "extra_hosts": {HOST: "host-gateway"} if by_gateway else {},
            "mem_limit": _bytes(config.mem_limit, "mem_limit"),
            "memswap_limit": _bytes(config.memswap_limit, "memswap_limit"),
            "privileged": config.privileged,
            # the engine would remove it together with its exit code
            "auto_remove": False,
        },
        "connect": config.networks[1:],
        "stop_seconds": config.grace_seconds,
        "remove": config.auto_remove,
    }


def pull_policy(config: DockerContainer) -> ImagePullPolicy:
    """When the image is fetched: what the block says, else always for an image whose tag moves."""
    if config.image_pull_policy is not None:
        return config.image_pull_policy
    name, _, digest = config.image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    moves = not digest and tag in {"", "latest"}
    return ImagePullPolicy.ALWAYS if moves else ImagePullPolicy.IF_NOT_PRESENT


def _pull(config: DockerContainer) -> JSONObject:
    registry = config.image_registry
    found: JSONObject = {"image": config.image, "policy": pull_policy(config).value}
    if registry is not None:
        found["login"] = {
            "registry": registry.registry_url,
            "username": registry.username,
            "password": registry.password,
            "reauth": registry.reauth,
        }
    return found


def _bytes(amount: float | str | None, field: str) -> int | str | None:
    """`amount` in bytes; a reference stays one, for whoever only looks at the request."""
    if isinstance(amount, str) and holds_reference(amount):
        return amount
    if amount is None or str(amount).strip() == "-1":
        return None if amount is None else -1
    return bytes_of(amount, field)
