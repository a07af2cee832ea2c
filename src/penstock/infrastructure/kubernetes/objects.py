"""Jobs and pods as the API server has them: what of them tells something. Pure."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any
from uuid import UUID

from penstock.infrastructure.variables import ATTEMPT_ID

OWNER = "penstock.io/owner"
#: Annotations of a Job: how its run ended, and since when it is being stopped.
END, STOPPING = "penstock.io/end", "penstock.io/stopping"
JOB_LABEL = "job-name"
#: Phases of pods in which no container runs any more.
TERMINAL = frozenset({"Succeeded", "Failed"})

Object = Mapping[str, Any]


def owner_of(job: Object) -> str:
    return str((job["metadata"].get("labels") or {}).get(OWNER, ""))


def attempt_of(job: Object) -> UUID | None:
    """The attempt whose Job this is, by the variable that carries it."""
    for item in job["spec"]["template"]["spec"]["containers"][0].get("env") or ():
        if item.get("name") == ATTEMPT_ID:
            with suppress(ValueError):
                return UUID(str(item.get("value")))
    return None


def flow_container(job: Object) -> str:
    """The name of the flow run's container."""
    return str(job["spec"]["template"]["spec"]["containers"][0]["name"])


def is_live(pod: Object, container: str) -> bool:
    """Whether the flow run's container runs in this pod, or may come to."""
    return phase_of(pod) not in TERMINAL and terminated(pod, container) is None


def is_active(pod: Object) -> bool:
    """Whether any container runs in this pod, or may come to."""
    return phase_of(pod) not in TERMINAL


def has_started(pod: Object, container: str) -> bool:
    """Whether the flow run's container ran in this pod."""
    state = state_of(pod, container)
    return "running" in state or "terminated" in state


def is_stopping(job: Object) -> bool:
    return STOPPING in (job["metadata"].get("annotations") or {})


def finished(job: Object) -> tuple[str, str, str] | None:
    """The condition by which the Job is over: its type, reason and message. None while it is not.

    FailureTarget and SuccessCriteriaMet come before Failed and Complete, when pods may still run.
    """
    for condition in (job.get("status") or {}).get("conditions") or ():
        if condition.get("status") == "True" and condition.get("type") in {"Complete", "Failed"}:
            return str(condition["type"]), str(condition.get("reason") or ""), str(condition.get("message") or "")
    return None


def is_decided(job: Object) -> bool:
    """Whether the Job makes no more pods, though some of it may still run."""
    return any(
        condition.get("status") == "True"
        and condition.get("type") in {"Complete", "Failed", "SuccessCriteriaMet", "FailureTarget"}
        for condition in (job.get("status") or {}).get("conditions") or ()
    )


def state_of(pod: Object, container: str) -> Object:
    """The state of a container, by its name."""
    for status in (pod.get("status") or {}).get("containerStatuses") or ():
        if status.get("name") == container:
            found: Object = status.get("state") or {}
            return found
    return {}


def terminated(pod: Object, container: str) -> Object | None:
    """How that container ended, if it did."""
    found: Object | None = state_of(pod, container).get("terminated")
    return found


def phase_of(pod: Object) -> str:
    """The pod's phase."""
    return str((pod.get("status") or {}).get("phase") or "Pending")


def uid_of(item: Object) -> str:
    return str(item["metadata"].get("uid"))


def newest(pods: Sequence[Object]) -> Object | None:
    """The pod that was made last."""
    return max(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp")), default=None)


def deleted_at(pod: Object) -> datetime | None:
    """By when the pod was to be gone."""
    return moment(pod["metadata"].get("deletionTimestamp"))


def moment(text: Any) -> datetime | None:
    """A time as the API server writes it."""
    try:
        return datetime.fromisoformat(str(text).replace("Z", "+00:00")) if text else None
    except ValueError:
        return None
