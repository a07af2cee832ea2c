"""Jobs and pods for tests, as an API server gives them."""

from datetime import timedelta
from typing import Any

from penstock import clock
from penstock.infrastructure.kubernetes.observation import Evidence, Judgement, judge

NOW = clock.now().replace(microsecond=0)
NAME = "penstock-job"
#: A kubeconfig with a secret in it, for a cluster that there is not.
KUBECONFIG: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "c",
    "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    "clusters": [{"name": "c", "cluster": {"server": "https://c.example.com"}}],
    "users": [{"name": "u", "user": {"token": "hunter2"}}],
}


def at(seconds: float) -> str:
    return (NOW + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def a_job(*conditions: tuple[str, str], annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    found = [{"type": kind, "status": "True", "reason": reason, "message": "so"} for kind, reason in conditions]
    containers = [{"name": NAME}, {"name": "beside"}]
    return {
        "metadata": {"name": "run", "namespace": "n", "uid": "job", "annotations": annotations or {}},
        "spec": {"template": {"spec": {"containers": containers}}, **spec},
        "status": {"conditions": found},
    }


def a_pod(
    state: dict[str, Any] | None,
    *,
    phase: str = "Running",
    name: str = "run-1",
    made: float = -60,
    deleted: float | None = None,
    **status: Any,
) -> dict[str, Any]:
    statuses = [{"name": "beside", "state": {"running": {}}, "image": "beside:1"}]
    if state is not None:
        statuses.append({"name": NAME, "state": state, "image": "team/flows:1"})
    metadata = {"name": name, "uid": name, "creationTimestamp": at(made)}
    if deleted is not None:
        metadata["deletionTimestamp"] = at(deleted)
    spec = {"containers": [{"name": NAME, "resources": {"limits": {"memory": "50Mi"}}}], "nodeName": "node-1"}
    return {"metadata": metadata, "spec": spec, "status": {"phase": phase, "containerStatuses": statuses, **status}}


RUNNING = {"running": {"startedAt": at(-30)}}


def over(code: int, reason: str = "Error", ago: float = 60) -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "reason": reason, "finishedAt": at(-ago)}}


def waits(reason: str, message: str = "") -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": message}}


def disrupted(reason: str) -> list[dict[str, str]]:
    return [{"type": "DisruptionTarget", "status": "True", "reason": reason, "message": "the cluster's words"}]


def look(job: dict[str, Any], *pods: dict[str, Any], **more: Any) -> Judgement:
    return judge(Evidence(job, pods, **more), NOW)
