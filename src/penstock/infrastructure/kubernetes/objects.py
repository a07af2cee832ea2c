"""Jobs and pods as the API server has them: what of them tells something. Pure."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from penstock.infrastructure.variables import ATTEMPT_ID

OWNER = "penstock.io/owner"
#: Annotations of a Job: how its run ended, and since when it is being stopped.
END, STOPPING = "penstock.io/end", "penstock.io/stopping"
#: Label of pods: the Job that made them. From Kubernetes 1.27 on the second stands beside the first.
JOB_LABEL, _LATER_JOB_LABEL = "job-name", "batch.kubernetes.io/job-name"
#: Seconds that the cluster may take to tell the reason of an end, or to heed that a Job is to make no more pods.
SETTLE_SECONDS = 10.0
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


def job_of(pod: Object) -> str | None:
    """The name of the Job that made the pod."""
    labels = pod["metadata"].get("labels") or {}
    found = labels.get(JOB_LABEL) or labels.get(_LATER_JOB_LABEL)
    return str(found) if found else None


def is_of(pod: Object, job: Object) -> bool:
    """Whether the pod may be this Job's, and is not one that an earlier Job of the same name has left."""
    owners = [owner for owner in pod["metadata"].get("ownerReferences") or () if owner.get("kind") == "Job"]
    return not owners or any(str(owner.get("uid")) == uid_of(job) for owner in owners)


def flow_container(job: Object) -> str:
    """The name of the flow run's container."""
    return str(job["spec"]["template"]["spec"]["containers"][0]["name"])


def is_live(pod: Object, container: str) -> bool:
    """Whether the flow run's container runs in this pod, or may come to."""
    return phase_of(pod) not in TERMINAL and terminated(pod, container) is None


def is_active(pod: Object) -> bool:
    """Whether any container runs in this pod, or may come to."""
    return phase_of(pod) not in TERMINAL


def has_node(pod: Object) -> bool:
    """Whether a kubelet was given the pod."""
    return bool((pod.get("spec") or {}).get("nodeName"))


def has_started(pod: Object, container: str) -> bool:
    """Whether the flow run's container ran in this pod."""
    state = state_of(pod, container)
    return "running" in state or "terminated" in state


def is_going(pod: Object, container: str) -> bool:
    """Whether the pod was deleted before the flow run's container started in it: no kubelet starts it after that."""
    return bool(pod["metadata"].get("deletionTimestamp")) and not has_started(pod, container)


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


def is_recent(at: datetime | None, now: datetime, seconds: float = SETTLE_SECONDS) -> bool:
    """Whether the cluster may still have more to tell of what happened then. Of what nobody knows when, it has told all."""
    return at is not None and (now - at).total_seconds() < seconds


def may_make_another(job: Object, now: datetime) -> bool:
    """Whether a Job that was told to make no more pods may not have heard of it: it still counts one that runs."""
    since = moment((job["metadata"].get("annotations") or {}).get(STOPPING))
    if not is_recent(since, now) or is_decided(job):
        return False
    return bool((job.get("status") or {}).get("active"))


def has_had_pods(job: Object) -> bool:
    """Whether pods of the Job have ended, by its own count, which may be ahead of its conditions."""
    status = job.get("status") or {}
    uncounted = status.get("uncountedTerminatedPods") or {}
    return any((status.get("succeeded"), status.get("failed"), uncounted.get("succeeded"), uncounted.get("failed")))


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


def code_of(pod: Object, container: str) -> int | None:
    """The exit code of that container, if it has ended."""
    found = terminated(pod, container)
    return int(found.get("exitCode", -1)) if found is not None else None


def phase_of(pod: Object) -> str:
    """The pod's phase."""
    return str((pod.get("status") or {}).get("phase") or "Pending")


def sidecars(pod: Object) -> set[str]:
    """The names of the init containers that run beside the others, as there are from Kubernetes 1.29 on."""
    found = (pod.get("spec") or {}).get("initContainers") or ()
    return {str(item.get("name")) for item in found if item.get("restartPolicy") == "Always"}


def uid_of(item: Object) -> str:
    return str(item["metadata"].get("uid"))


def newest(pods: Sequence[Object]) -> Object | None:
    """The pod that was made last."""
    return max(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp")), default=None)


def first_started(pods: Sequence[Object], container: str, ran: Collection[str] = ()) -> Object | None:
    """The pod that the run is in, or was: the first whose container started. Who comes after it is refused.

    `ran`: pods of which something else than their status says that it did.
    """
    started = [pod for pod in pods if has_started(pod, container) or uid_of(pod) in ran]
    return min(started, key=lambda pod: str(pod["metadata"].get("creationTimestamp")), default=None)


def with_log(pods: Sequence[Object], container: str) -> Object | None:
    """The pod whose log is the run's output. One that was evicted may not say any more that it ran."""
    over = [pod for pod in pods if phase_of(pod) in TERMINAL]
    return first_started(pods, container) or newest(over)


def was_deleted_before(pod: Object, end: datetime) -> bool:
    """Whether somebody had asked for the pod's end when it came, as exactly as the cluster tells: to the second."""
    due = deleted_at(pod)
    seconds = pod["metadata"].get("deletionGracePeriodSeconds") or 0
    return due is not None and due - timedelta(seconds=seconds) <= end


def deleted_at(pod: Object) -> datetime | None:
    """By when the pod was to be gone."""
    return moment(pod["metadata"].get("deletionTimestamp"))


def moment(text: Any) -> datetime | None:
    """A time as the API server writes it."""
    try:
        return datetime.fromisoformat(str(text).replace("Z", "+00:00")) if text else None
    except ValueError:
        return None
