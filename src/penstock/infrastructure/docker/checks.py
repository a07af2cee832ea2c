"""What can be tried of a DockerContainer before anything runs on it: from the engine to the API as the container sees it."""

import asyncio
import os
import re
from collections.abc import Mapping
from typing import Any

from penstock import settings
from penstock.client.sync import get_sync_client
from penstock.errors import ConfigurationError, NotReachable, PenstockError
from penstock.infrastructure import containers
from penstock.infrastructure.base import Finding
from penstock.infrastructure.docker.config import DockerContainer, ImagePullPolicy
from penstock.infrastructure.docker.connection import Engine, inspect_image, read_distribution
from penstock.infrastructure.docker.fitness import findings as fitness
from penstock.infrastructure.docker.fitness import platforms_fit
from penstock.infrastructure.docker.hearing import WAY_OUT, heard
from penstock.infrastructure.docker.logins import login_for
from penstock.infrastructure.docker.ports import check_ports
from penstock.infrastructure.docker.probe import Probed, probe
from penstock.infrastructure.docker.refusals import refusal
from penstock.infrastructure.docker.render import render
from penstock.infrastructure.sample import sample_job
from penstock.infrastructure.variables import API_URL
from penstock.version import __version__

#: Seconds for questions to the engine, and for one that it passes on to a registry.
ASK_SECONDS, REGISTRY_SECONDS = 15.0, 30.0
#: Seconds that a probe may take from its making to its answer.
PROBE_SECONDS = 60.0
#: Of an image for another machine that an engine takes all the same.
_EMULATED = ", and runs there only by emulation"
#: What engines and what stands before them say of a question that they do not know: no registry's words.
_NO_SUCH_QUESTION = frozenset({"", "not found", "page not found", "404 page not found", "not implemented"})
#: Programs that execute what they are given, unless they are told what.
_INTERPRETER = re.compile(r"python[\d.]*|(ba|da|a|z|k)?sh")
_MODES = ("bridge", "host", "none", "default")


async def check(engine: Engine, config: DockerContainer) -> list[Finding]:
    """Try all of it. Raises nothing: what failed is a finding."""
    try:
        who, info, api = await _meet(engine)
    except PenstockError as error:
        return [Finding(f"the Docker engine at {engine.url}", False, error.message, error.hint or "")]
    try:
        request = render(config, sample_job(await _api_url(), settings.for_jobs()))
    except PenstockError as error:
        return [who, Finding("the container that will be made", False, error.message, error.hint or "")]
    found = [who, *fitness(info, api, request)]
    try:
        image, present = await _check_image(engine, info, request)
        found.append(image)
        found += _check_entrypoint(request, present)
        found += await _check_networks(engine, request)
        found += await check_ports(engine, request)
        found += _check_paths(engine, request)
        if present is not None and image.ok:
            request = dict(await heard(engine, request, refuse=False))
        found += await _check_api(engine, request, present if image.ok else None)
    except PenstockError as error:
        found.append(Finding(f"the Docker engine at {engine.url}", False, error.message, error.hint or ""))
    except engine.APIError as error:
        said = str(error.explanation or error)
        found.append(Finding(f"the Docker engine at {engine.url}", False, said, "Look at the engine's own log."))
    return found


async def _api_url() -> str:
    """The API's address as runs of this machine's agent get it: the one that is set, else the local server's."""
    return str(settings.get("PENSTOCK_API_URL") or await asyncio.to_thread(lambda: get_sync_client().api_url))


async def _meet(engine: Engine) -> tuple[Finding, dict[str, Any], tuple[int, ...]]:
    await engine.id()
    try:
        info: dict[str, Any] = await engine.call(lambda client: client.info(), seconds=ASK_SECONDS)
    except engine.APIError as error:
        raise NotReachable(str(error.explanation or error)) from None
    api = await engine.api_version()
    has = f"{info.get('NCPU')} processors, {int(info.get('MemTotal') or 0) / 1024**3:.1f} GiB"
    spoken = ".".join(map(str, api))
    said = f"{info.get('ServerVersion')}, API {spoken}, {info.get('OSType')}/{info.get('Architecture')}, {has}"
    return Finding(f"the Docker engine at {engine.url}", True, said), info, api


async def _check_image(
    engine: Engine, info: Mapping[str, Any], request: Mapping[str, Any]
) -> tuple[Finding, dict[str, Any] | None]:
    """What is to be said of the image, and what the engine says of it if it has it."""
    pull = request["pull"]
    image, policy = str(pull["image"]), ImagePullPolicy(pull["policy"])
    tried = f"the image {image} ({policy.value})"
    present = await engine.call(lambda client: inspect_image(client, image), seconds=ASK_SECONDS)
    wanted = str(pull.get("platform") or "")
    if policy is ImagePullPolicy.NEVER and present is None:
        fix = "Build or load it there, or set image_pull_policy to IF_NOT_PRESENT."
        return Finding(tried, False, "the engine does not have it, and it is never fetched", fix), None
    if present is not None and policy is not ImagePullPolicy.ALWAYS:
        unfit = platforms_fit(info, wanted, [(str(present.get("Os")), str(present.get("Architecture")))])
        if unfit is None or not wanted:
            return Finding(
                tried, True, f"the engine has it; {unfit}{_EMULATED}" if unfit else "the engine has it"
            ), present
        if policy is ImagePullPolicy.NEVER:
            return Finding(tried, False, f"{unfit}, and it is never fetched", "Load it for that platform."), present
    return await _ask_registry(engine, info, pull, tried), present


async def _ask_registry(engine: Engine, info: Mapping[str, Any], pull: Mapping[str, Any], tried: str) -> Finding:
    """Whether the registry would give it, by its manifest alone."""
    image = str(pull["image"])
    try:
        login = await asyncio.to_thread(login_for, image, pull.get("login"))
    except ConfigurationError as error:
        return Finding(tried, False, error.message, error.hint or "")
    try:
        found = await engine.call(
            lambda client: read_distribution(client, image, login.header), seconds=REGISTRY_SECONDS
        )
    except engine.APIError as error:
        words = str(error.explanation or error)
        if error.status_code in {404, 501} and words.strip().lower() in _NO_SUCH_QUESTION:
            return Finding(tried, True, "this engine cannot ask for an image without fetching it; not tried")
        refused = refusal(image, words, login, error.status_code)
        return Finding(tried, False, refused.message, refused.hint)
    offered = [(str(each.get("os")), str(each.get("architecture"))) for each in found.get("Platforms") or ()]
    unfit = platforms_fit(info, str(pull.get("platform") or ""), offered)
    about = found.get("Descriptor") or {}
    if unfit and (pull.get("platform") or any(word in str(about.get("mediaType")) for word in ("index", "list"))):
        return Finding(tried, False, unfit, "Build it for this engine, or set platform, or use another engine.")
    said = f"{login.registry} gives it {login}, {str(about.get('digest') or '')[:19]}…"
    return Finding(tried, True, f"{said}; {unfit}{_EMULATED}" if unfit else said)


def _check_entrypoint(request: Mapping[str, Any], image: Mapping[str, Any] | None) -> list[Finding]:
    """Whether the image's entrypoint would take the flow run's command for something else. Of most nothing is known."""
    own = list(((image or {}).get("Config") or {}).get("Entrypoint") or ())
    create = request["create"]
    if not own or create.get("entrypoint") or not containers.is_engine(create.get("command")):
        return []
    program = os.path.basename(own[0])
    if not (_INTERPRETER.fullmatch(program) and (len(own) == 1 or own[-1] == "-c")):
        return []
    said = f"it is {' '.join(own)}, which takes `{' '.join(containers.ENGINE_COMMAND)}` for a script of its own"
    fix = "Set entrypoint to [] in the block, or take it out of the image."
    return [Finding("the entrypoint of the image", False, said, fix)]


async def _check_networks(engine: Engine, request: Mapping[str, Any]) -> list[Finding]:
    """Whether the networks that the container is attached to are there."""
    mode = str(request["host_config"].get("network_mode") or "")
    names = [mode] if mode and mode not in _MODES and not mode.startswith("container:") else []
    names += list(request.get("connect") or ())
    if not names:
        return []
    rows = await engine.call(lambda client: client.networks(), seconds=ASK_SECONDS)
    known = {str(row["Name"]) for row in rows} | {str(row["Id"]) for row in rows}
    return [
        Finding(
            f"the network {name}",
            name in known,
            "is there" if name in known else f"there are {', '.join(sorted(str(row['Name']) for row in rows))}",
            "" if name in known else f"`docker network create {name}` on the engine's machine, or correct the name.",
        )
        for name in names
    ]


def _check_paths(engine: Engine, request: Mapping[str, Any]) -> list[Finding]:
    """Whether paths of the host are there. Of another machine's nothing is known here."""
    if not engine.local:
        return []
    host = {**request["host_config"], **((request.get("raw") or {}).get("HostConfig") or {})}
    binds = [*(host.get("binds") or ()), *(host.get("Binds") or ())]
    made = {source: True for text in binds if (source := str(text).partition(":")[0]).startswith("/")}
    mounts = [*(host.get("mounts") or ()), *(host.get("Mounts") or ())]
    needed = {str(mount.get("Source")): False for mount in mounts if mount.get("Type") == "bind"}
    found = []
    for path, engine_makes_it in {**made, **needed}.items():
        if os.path.exists(path):
            found.append(Finding(f"the path {path}", True, "is there"))
        else:
            then = "would make an empty folder that belongs to root" if engine_makes_it else "refuses such a mount"
            said = f"does not exist; Docker {then}"
            found.append(Finding(f"the path {path}", False, said, "Create it, or correct the path."))
    return found


async def _check_api(engine: Engine, request: Mapping[str, Any], image: Mapping[str, Any] | None) -> list[Finding]:
    """Whether a container reaches the API, and whether its image can run flows."""
    environment = request["create"].get("environment") or {}
    url = str(environment.get(API_URL) or "")
    tried = f"the API {url} from a container"
    if not url:
        return [Finding(tried, False, "no address is known", "Set PENSTOCK_API_URL where the agent runs.")]
    mode = str(request["host_config"].get("network_mode") or "bridge")
    if mode == "none":
        return [Finding(tried, True, "not tried: network_mode none has no network at all")]
    if image is None:
        return [Finding(tried, True, "not tried: the engine does not have the image yet; check again after a pull")]
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            probed = await probe(engine, request, str(image.get("Id") or ""), f"{url.rstrip('/')}/health")
    except TimeoutError:
        said = f"no container came up and answered within {PROBE_SECONDS:g} s"
        return [Finding(tried, False, said, "Look at the load of the engine's machine, and try it again.")]
    if not probed.started:
        fix = "Runs would fail in the same way: correct the network or the image, or look at the engine's own log."
        return [Finding("a container with that image and network", False, probed.said, fix)]
    if probed.ok is None:
        reached = Finding(tried, True, f"not tried: {probed.said}")
    elif probed.ok:
        reached = Finding(tried, True, "answers")
    else:
        reached = Finding(tried, False, probed.said, _way_out(url, mode))
    return [reached, *_check_engine_in_image(request, probed)]


def _check_engine_in_image(request: Mapping[str, Any], probed: Probed) -> list[Finding]:
    """Whether the image has what the job's command needs; of a command of the user's own nothing is known."""
    if not containers.is_engine(request["create"].get("command")) or probed.python is None:
        return []
    tried = "penstock in the image"
    if not probed.python:
        return [Finding(tried, False, "the image has no python in its PATH", "Use an image that has penstock.")]
    if not probed.penstock:
        if any("EXTRA_PIP_PACKAGES" in name for name in request["create"].get("environment") or {}):
            return [Finding(tried, True, f"not there; EXTRA_PIP_PACKAGES may bring it (Python {probed.python})")]
        fix = "Install penstock in it, or build it on one of Penstock's images."
        return [Finding(tried, False, f"it has Python {probed.python} without penstock", fix)]
    said = f"{probed.penstock} on Python {probed.python}"
    return [Finding(tried, True, said if probed.penstock == __version__ else f"{said}; here is {__version__}")]


def _way_out(url: str, mode: str) -> str:
    """What to do about an API that a container does not reach."""
    if mode == "host":
        return f"Is the server running at {url}? In the engine's own network, that is its machine's address."
    local = (
        containers.local_host_in(url) is not None or "host.docker.internal" in url or "host.containers.internal" in url
    )
    if local:
        return WAY_OUT
    return "Set PENSTOCK_API_URL to an address that reaches the server from containers, or attach the right networks."
