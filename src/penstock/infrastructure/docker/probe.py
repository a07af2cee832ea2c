"""Whether the API can be reached from where a job's container will be: tried by a container with the same image and network.

Nothing but a container can tell: what its network lets through, which names it knows, and whom a certificate convinces. What
came of it is kept for a while, because a network seldom changes and a probe takes a second.
"""

import asyncio
import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from penstock import clock, settings
from penstock.file_locks import locked
from penstock.infrastructure.docker.connection import Engine

if TYPE_CHECKING:
    from docker import APIClient

#: Marks containers that are probes, so that those which a killed process has left behind are found.
PROBE_LABEL = "penstock.io/probe"
#: Seconds that the API may take to answer in a container, and that the engine may take to make and to run one.
ASK_SECONDS, RUN_SECONDS = 10, 20.0
#: Seconds for which an answer holds: a good one, and a bad one.
GOOD_SECONDS, BAD_SECONDS = 6 * 3600.0, 60.0
#: Seconds after which a probe that still is there is nobody's.
_LOST_SECONDS = 600
_MOST_KEPT = 200
#: Variables that decide how a program reaches an address; the others of the job are none of a probe's business.
_OF_THE_WAY = ("http_proxy", "https_proxy", "no_proxy", "all_proxy", "ssl_cert_file", "ssl_cert_dir")
#: Settings of the container that decide what it reaches, as keyword arguments of the SDK and as the API has them.
_NETWORK = ("network_mode", "extra_hosts", "dns", "dns_search", "dns_opt", "links", "sysctls")
_RAW_NETWORK = ("NetworkMode", "ExtraHosts", "Dns", "DnsSearch", "DnsOptions", "Links", "Sysctls")

_PYTHON = """
import json, platform, sys, urllib.error, urllib.request
found = {"python": platform.python_version(), "penstock": ""}
try:
    from importlib.metadata import version
    found["penstock"] = version("penstock")
except Exception:
    pass
try:
    with urllib.request.urlopen(sys.argv[1], timeout=int(sys.argv[2])) as answer:
        found.update(ok=True, said=answer.read(200).decode(errors="replace"))
except urllib.error.HTTPError as error:
    found.update(ok=False, said="%s %s" % (error.code, error.reason))
except Exception as error:
    reason = getattr(error, "reason", error)
    found.update(ok=False, said=str(getattr(reason, "strerror", None) or reason) or type(error).__name__)
print(json.dumps(found))
"""
_SHELL = 'if command -v wget >/dev/null; then wget -q -T "$1" -O - "$0" 2>&1; else curl -sSf -m "$1" "$0" 2>&1; fi'
_WAYS = (["python", "-c", _PYTHON], ["python3", "-c", _PYTHON], ["sh", "-c", _SHELL])

#: What engines say of an image that has no such program.
_NO_PROGRAM = ("executable file not found", "no such file or directory", "not found in $PATH")
#: Exit codes from here on say that a program could not be run, or was ended by a signal: not what it has found.
_NOT_RUN = 126


@dataclass(frozen=True)
class Probed:
    """What a probe has found. `ok` None: it could not be tried, and `said` is why. `started` False: the engine made no such
    container, and says why. `python` and `penstock` are the versions in the image: "" where it has none, None where that
    is not known."""

    ok: bool | None
    said: str
    python: str | None = None
    penstock: str | None = None
    started: bool = True


async def probe(engine: Engine, request: Mapping[str, Any], image_id: str, url: str, *, anew: bool = False) -> Probed:
    """Ask for `url` from a container as `request` would make it. `anew`: do not take a kept answer.

    Raises NotReachable if the engine does not answer.
    """
    key = _key(await engine.id(), image_id, url, request)
    kept = None if anew else await asyncio.to_thread(_read, key)
    if kept is not None:
        return kept
    with contextlib.suppress(engine.APIError):
        await engine.call(_remove_lost, seconds=RUN_SECONDS)
    found = await _ask(engine, request, url)
    await asyncio.to_thread(_write, key, found)
    return found


async def _ask(engine: Engine, request: Mapping[str, Any], url: str) -> Probed:
    """What the first program says that the image has for it."""
    for way in _WAYS:

        def run(client: "APIClient", way: list[str] = way) -> Probed:
            return _run(client, request, way, url)

        try:
            return await engine.call(run, seconds=2 * RUN_SECONDS)
        except engine.APIError as error:
            words = str(error.explanation or error)
            if not any(part in words for part in _NO_PROGRAM):
                return Probed(None, words, started=False)
    return Probed(None, "the image has neither python nor sh", python="", penstock="")


def _run(client: "APIClient", request: Mapping[str, Any], way: list[str], url: str) -> Probed:
    """One probe, from its making to its removal."""
    raw: Any = client
    body = _body(raw, request, way, url)
    platform = request["create"].get("platform")
    made = raw.create_container_from_config(body, f"penstock-probe-{uuid4().hex}", platform)["Id"]
    try:
        for network in request.get("connect") or ():
            raw.connect_container_to_network(made, network)
        raw.start(made)
        code = raw.wait(made, timeout=ASK_SECONDS + RUN_SECONDS)["StatusCode"]
        output = raw.logs(made, stdout=True, stderr=True, tail=20).decode(errors="replace").strip()
    finally:
        raw.remove_container(made, v=True, force=True)
    if way[0] == "sh":
        said = output[-300:] or f"wget or curl ended with {code}"
        return Probed(code == 0 if code < _NOT_RUN else None, said, python="", penstock="")
    try:
        found = json.loads(output.splitlines()[-1])
        return Probed(bool(found["ok"]), str(found["said"])[:300], found["python"], found["penstock"])
    except (LookupError, ValueError, TypeError):
        return Probed(None, f"python ended with {code}: {output[-300:]}")


def _body(client: Any, request: Mapping[str, Any], way: list[str], url: str) -> dict[str, Any]:
    create, raw = request["create"], request.get("raw") or {}
    host = {name: value for name, value in request["host_config"].items() if name in _NETWORK and value}
    environment = {**(create.get("environment") or {}), **_variables_of((raw.get("Config") or {}).get("Env"))}
    body: dict[str, Any] = client.create_container_config(
        image=create["image"],
        command=[url, str(ASK_SECONDS)],
        entrypoint=way,
        environment={name: str(value) for name, value in environment.items() if name.lower() in _OF_THE_WAY},
        labels={PROBE_LABEL: str(int(clock.now().timestamp()))},
        networking_config=create.get("networking_config"),
        host_config=client.create_host_config(**host),
    )
    body["HostConfig"].update(
        {key: value for key, value in (raw.get("HostConfig") or {}).items() if key in _RAW_NETWORK}
    )
    return body


def _variables_of(pairs: Any) -> dict[str, str]:
    """``NAME=value`` as the API has them."""
    return dict(str(pair).split("=", 1) for pair in pairs or () if "=" in str(pair))


def _remove_lost(client: "APIClient") -> None:
    """What killed processes have left: a probe lives for seconds, and its label says since when."""
    raw: Any = client
    before = clock.now().timestamp() - _LOST_SECONDS
    for container in raw.containers(all=True, filters={"label": PROBE_LABEL}):
        since = str((container.get("Labels") or {}).get(PROBE_LABEL))
        if since.isdigit() and int(since) < before:
            raw.remove_container(container["Id"], v=True, force=True)


def _key(engine_id: str, image_id: str, url: str, request: Mapping[str, Any]) -> str:
    """Equal for probes that would find the same."""
    host, raw = request["host_config"], request.get("raw") or {}
    environment = request["create"].get("environment") or {}
    parts = [
        engine_id,
        image_id,
        url,
        {name: host.get(name) for name in _NETWORK},
        {name: (raw.get("HostConfig") or {}).get(name) for name in _RAW_NETWORK},
        {name: str(value) for name, value in environment.items() if name.lower() in _OF_THE_WAY},
        list(request.get("connect") or ()),
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


#: What was found by this process, where nothing can be written.
_found: dict[str, tuple[float, Probed]] = {}


def _place() -> Path:
    return settings.home() / "cache" / "docker-probes.json"


def _read(key: str) -> Probed | None:
    """The kept answer, if it still holds."""
    kept = _found.get(key) or _all_kept().get(key)
    if kept is None:
        return None
    at, found = kept
    age = clock.now().timestamp() - at
    return found if 0 <= age < (GOOD_SECONDS if found.ok else BAD_SECONDS) else None


def _all_kept() -> dict[str, tuple[float, Probed]]:
    try:
        kept = json.loads(_place().read_text(encoding="utf-8"))
        return {key: (float(entry["at"]), Probed(**entry["found"])) for key, entry in kept.items()}
    except (OSError, RuntimeError, ValueError, LookupError, TypeError, AttributeError):
        return {}


def _write(key: str, found: Probed) -> None:
    now = clock.now().timestamp()
    _found[key] = now, found
    with contextlib.suppress(OSError, RuntimeError):  # a home that nobody can write to costs one probe per process
        place = _place()
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with locked(place.with_suffix(".lock")):
            kept = {name: entry for name, entry in _all_kept().items() if now - entry[0] < GOOD_SECONDS}
            kept[key] = now, found
            latest = sorted(kept.items(), key=lambda item: item[1][0])[-_MOST_KEPT:]
            draft = place.with_suffix(f".{os.getpid()}.draft")
            entries = {name: {"at": at, "found": asdict(probed)} for name, (at, probed) in latest}
            draft.write_text(json.dumps(entries), encoding="utf-8")
            os.replace(draft, place)
