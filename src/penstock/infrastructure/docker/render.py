"""From a DockerContainer block and a job to the exact requests that the Docker engine gets. Pure.

pull          the image, when to fetch it, for which platform, and the login to its registry
create        the keyword arguments of docker's APIClient.create_container
host_config   those of APIClient.create_host_config, whose result is create's host_config
raw           what is set in the body after that, in the API's own names
connect       the networks that the container is connected to after it was made
secret_files  what is put into the container before it starts
stop_seconds  the time between the polite and the forced stop
remove        whether the container is removed when the run is over and what it said is safe
"""

import posixpath
from typing import Any

from pydantic import SecretStr

from penstock.blocks.extras import holds_reference
from penstock.infrastructure import containers
from penstock.infrastructure.base import Job
from penstock.infrastructure.docker.config import DockerContainer, ImagePullPolicy
from penstock.infrastructure.docker.fields import is_open, mounted
from penstock.infrastructure.docker.hardware import device_requests, read_device, ulimits_of
from penstock.infrastructure.docker.host import Host
from penstock.infrastructure.docker.marks import marks_of
from penstock.infrastructure.docker.mounts import tmpfs_of
from penstock.infrastructure.docker.network import Way, port_bindings, refuse_silence
from penstock.infrastructure.docker.volumes import bytes_of
from penstock.infrastructure.job import with_block
from penstock.infrastructure.variables import API_URL, ATTEMPT_TOKEN, ATTEMPT_TOKEN_FILE
from penstock.model.base import JSONObject

NAME_LABEL = "penstock.io/name"
#: Where the token's file may be: at the first of these that nothing is mounted over.
_TOKEN_FILES = (containers.TOKEN_FILE, "/etc/penstock/token", "/penstock/token")
_BILLION = 1_000_000_000


def render(config: DockerContainer, job: Job, host: Host | None = None) -> JSONObject:
    """The requests for `job`. `host`: where containers will run, by default as it is seen from here.

    Raises Unsupported if a container could not reach the API.
    """
    merged = with_block(job, config)
    way = config.way_to_api(str(merged.env.get(API_URL) or ""), host)
    if not merged.command:
        refuse_silence(way)
    variables, files = _secrets(config, merged)
    create: JSONObject = {
        "image": config.image,
        "command": containers.command_of(merged),
        "name": merged.name,
        "environment": {**merged.env, **({API_URL: way.api_url} if way.api_url else {}), **variables},
        "labels": {**merged.labels, NAME_LABEL: merged.title, **marks_of(job, config.auto_remove)},
        "detach": True,
    }
    bindings = port_bindings(config.ports)
    said: JSONObject = {
        "user": config.user,
        "working_dir": config.working_dir,
        # of an empty list the engine thinks that nothing was said
        "entrypoint": config.entrypoint if config.entrypoint != [] else [""],
        "platform": config.platform,
        "ports": {port: {} for port in bindings} or None,
        # nothing else of a container whose root is read-only takes a file before it starts
        "volumes": sorted(map(posixpath.dirname, files)) if files and config.read_only else None,
    }
    return {
        "pull": _pull(config),
        "create": create | {name: value for name, value in said.items() if value is not None},
        "host_config": _host_config(config, way, bindings),
        "raw": {"Config": config.config, "HostConfig": config.host_config},
        "connect": config.networks[1:],
        "secret_files": files,
        "stop_seconds": config.grace_seconds,
        "remove": config.auto_remove,
    }


def _host_config(config: DockerContainer, way: Way, bindings: dict[str, list[JSONObject]]) -> JSONObject:
    """What is always said, and of all else what the block says."""
    always: JSONObject = {
        "binds": config.volumes,
        "network_mode": config.networks[0] if config.networks else way.mode,
        "extra_hosts": {**way.extra_hosts, **config.extra_hosts},
        "mem_limit": _bytes(config.mem_limit, "mem_limit"),
        "memswap_limit": _bytes(config.memswap_limit, "memswap_limit"),
        "privileged": config.privileged,
        # the engine would remove it together with its exit code
        "auto_remove": False,
    }
    said: JSONObject = {
        "nano_cpus": None if config.cpus is None else round(config.cpus * _BILLION),
        "device_requests": device_requests(config.gpus),
        "shm_size": _bytes(config.shm_size, "shm_size"),
        "mounts": [mount.to_api() for mount in config.mounts],
        "tmpfs": tmpfs_of(config.tmpfs),
        "ulimits": ulimits_of(config.ulimits),
        "port_bindings": bindings,
        "dns": config.dns,
        "cap_add": config.cap_add,
        "cap_drop": config.cap_drop,
        "read_only": config.read_only or None,
        "init": config.init,
        "runtime": config.runtime,
        "pids_limit": config.pids_limit,
        "devices": [text if holds_reference(text) else read_device(text) for text in config.devices],
    }
    return always | {name: value for name, value in said.items() if value is not None and value not in ([], {})}


def _secrets(config: DockerContainer, job: Job) -> tuple[dict[str, Any], dict[str, SecretStr]]:
    """The variables and the files that carry what must not be shown: the token as a file that everybody in the container
    can read, for it may run as any user; as a variable where something is mounted over all places for it.
    """
    found: dict[str, Any] = dict(containers.secrets_of(job))
    path = _place_of_token([target for target, _ in mounted(config.volumes, config.mounts, config.tmpfs)])
    if ATTEMPT_TOKEN not in found or path is None:
        return found, {}
    token = found.pop(ATTEMPT_TOKEN)
    return {**found, ATTEMPT_TOKEN_FILE: path}, {path: token}


def _place_of_token(targets: list[str]) -> str | None:
    """A path that no mount hides, or carries to the host; None if there is none."""
    hidden = [target.rstrip("/") for target in targets]
    free = (path for path in _TOKEN_FILES if not any(path == one or path.startswith(f"{one}/") for one in hidden))
    return next(free, None)


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
    if config.platform is not None:
        found["platform"] = config.platform
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
    if amount is None or is_open(amount):
        return amount if isinstance(amount, str) else None
    return -1 if str(amount).strip() == "-1" else bytes_of(amount, field)
