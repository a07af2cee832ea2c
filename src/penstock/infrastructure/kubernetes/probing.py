"""Whether the API can be reached from where a run's pod will be: tried by a pod with the same image, node and network."""

import asyncio
import copy
from contextlib import suppress
from typing import Any
from uuid import uuid4

from penstock import clock
from penstock.errors import NotReachable
from penstock.infrastructure.base import Finding
from penstock.infrastructure.kubernetes import observation
from penstock.infrastructure.kubernetes.calls import Namespace
from penstock.infrastructure.kubernetes.connection import Refusal
from penstock.infrastructure.kubernetes.observation import Evidence
from penstock.model.reasons import Reason

PROBE_LABEL = "penstock.io/probe"
#: Seconds that a pod may take to start and to ask, and that the API may take to answer it.
PROBE_SECONDS, _ASK_SECONDS = 30.0, 10
_LOOK_SECONDS = 0.3
_NO_PROGRAM = 88
#: Exit codes above this are those of signals.
_SIGNALS = 128
#: What to do about what keeps a pod from asking, where one thing alone helps.
_FIXES = {
    Reason.IMAGE_NOT_PERMITTED: "Name a Secret with a login of that registry in image_pull_secrets, or correct the login in it.",
    Reason.IMAGE_NOT_FOUND: "Correct the block's image, or push it.",
}
_WORDS = "Runs would wait in the same way: see docs/kubernetes-troubleshooting.md for these words."
_SCRIPT = """
python=$(command -v python || command -v python3)
if [ -n "$python" ]; then
  "$python" -c 'import sys, urllib.request
try:
    urllib.request.urlopen(sys.argv[1], timeout=SECONDS)
except Exception as error:
    sys.exit(str(error))' "$0"
elif command -v wget >/dev/null; then wget -q -T SECONDS -O /dev/null "$0"
elif command -v curl >/dev/null; then curl -sSf -m SECONDS -o /dev/null "$0"
else exit NO_PROGRAM; fi
"""


async def probe(namespace: Namespace, job: dict[str, Any], api_url: str) -> Finding:
    """Ask from a pod like those of `job`. The pod is removed again. Raises NotReachable, Refusal."""
    tried = f"the API {api_url} from a pod"
    url = f"{api_url.rstrip('/')}/health"
    made = await namespace.create_job(probe_of(job, url))
    try:
        return await _watched(namespace, made, tried)
    finally:
        with suppress(NotReachable, Refusal):  # Kubernetes removes it then, after its deadline and its time to live
            await namespace.delete_job(made["metadata"]["name"])


def probe_of(job: dict[str, Any], url: str) -> dict[str, Any]:
    """A Job whose only container asks `url`, and that otherwise is like `job`. It is nobody's run, and has no token."""
    found = copy.deepcopy(job)
    marks = {PROBE_LABEL: "true"}
    found["metadata"] = {
        "name": f"penstock-check-{uuid4().hex[:8]}",
        "namespace": job["metadata"]["namespace"],
        "labels": marks,
    }
    found["spec"].update({"activeDeadlineSeconds": int(2 * PROBE_SECONDS), "ttlSecondsAfterFinished": 60})
    template = found["spec"]["template"]
    template["metadata"] = {**(template.get("metadata") or {}), "labels": marks}
    pod = template["spec"]
    container = pod["containers"][0]
    script = _SCRIPT.replace("SECONDS", str(_ASK_SECONDS)).replace("NO_PROGRAM", str(_NO_PROGRAM))
    container.update({"command": ["sh", "-c", script, url], "args": []})
    # the run's own Secret does not exist
    own = job["metadata"]["name"]
    container["env"] = [item for item in container.get("env") or () if _secret_of_variable(item) != own]
    secrets = {item["name"] for item in pod.get("volumes") or () if _secret_of(item) == own}
    container["volumeMounts"] = [item for item in container.get("volumeMounts") or () if item["name"] not in secrets]
    pod["volumes"] = [item for item in pod.get("volumes") or () if item["name"] not in secrets]
    pod["containers"] = [container]
    pod.pop("initContainers", None)
    pod["terminationGracePeriodSeconds"] = 1
    return found


def _secret_of(volume: dict[str, Any]) -> str | None:
    found: str | None = (volume.get("secret") or {}).get("secretName")
    return found


def _secret_of_variable(variable: dict[str, Any]) -> str | None:
    found: str | None = ((variable.get("valueFrom") or {}).get("secretKeyRef") or {}).get("name")
    return found


async def _watched(namespace: Namespace, job: dict[str, Any], tried: str) -> Finding:
    name = job["metadata"]["name"]
    deadline = clock.monotonic() + PROBE_SECONDS
    while True:
        pods = await namespace.pods_of(name)
        events: dict[str, str] = {}
        for uid in [job["metadata"]["uid"], *(pod["metadata"]["uid"] for pod in pods)]:
            with suppress(Refusal):
                events.update(await namespace.events(uid))
        judgement = observation.judge(Evidence(job, pods, (), events), clock.now())
        seen = judgement.observation
        if seen.exit is not None:
            return await _told(namespace, pods, seen.exit.code, tried)
        if judgement.doomed is not None or clock.monotonic() > deadline:
            waits = f"the pod waits for {seen.waiting_for}" if seen.waiting_for else "the pod has not answered"
            said = f"{waits}: {seen.message}" if seen.message else waits
            fix = _FIXES.get(seen.reason, _WORDS) if seen.reason is not None else _WORDS
            after = "" if judgement.doomed is not None else f"not known after {PROBE_SECONDS:g} s: "
            return Finding(tried, False, f"{after}{said}", fix)
        await asyncio.sleep(_LOOK_SECONDS)


async def _told(namespace: Namespace, pods: list[dict[str, Any]], code: int | None, tried: str) -> Finding:
    if code == 0:
        return Finding(tried, True, "answers")
    if code in {_NO_PROGRAM, 127, 128}:
        return Finding(tried, True, "not tried: the image has no shell, or nothing in it that could ask")
    said = ""
    with suppress(Refusal, NotReachable, IndexError):
        async with namespace.connection.stream(namespace.log_of(pods[0]), {}, PROBE_SECONDS) as lines:
            said = b"".join([line async for line in lines])[-500:].decode(errors="replace").strip()
    if code is None or code > _SIGNALS:
        return Finding(tried, True, f"not known: what asked came to no end of its own (exit code {code}): {said}")
    fix = "Set PENSTOCK_API_URL to an address that pods reach; look for a NetworkPolicy, a proxy, or DNS between them."
    return Finding(tried, False, said or f"it could not be asked (exit code {code})", fix)
