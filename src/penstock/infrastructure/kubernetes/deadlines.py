"""How long a Job may go on when nobody is left to end it, and how long it stays: what Kubernetes itself enforces. Pure."""

import math

from penstock.infrastructure.kubernetes.config import KubernetesJob
from penstock.model.base import JSONObject

#: Seconds that an ended Job stays at least: its verdict is read from it.
LEAST_TTL = 60
#: Seconds that a pod which has its node may take until its container runs, where no start limit says it.
_PULLING = 600


def fill_deadlines(spec: JSONObject, config: KubernetesJob) -> None:
    """Set in a Job's spec what the manifest leaves open: when Kubernetes ends the Job, and when it removes it.

    The server's limits come first. Kubernetes's deadline is a net below them, for the day when no agent is left: the
    start limit, the run limit and the time of a stop together, because it counts from the Job's creation. Without a start
    limit the pod's own deadline is used, which counts from when it has a node.
    """
    pod, limits = spec["template"]["spec"], config.limits()
    if pod.get("terminationGracePeriodSeconds") is None or config.has_own_grace():
        pod["terminationGracePeriodSeconds"] = math.ceil(limits.grace)
    if config.finished_job_ttl is not None:
        spec["ttlSecondsAfterFinished"] = config.finished_job_ttl
    if limits.run is None or spec.get("activeDeadlineSeconds") is not None:
        return
    after_start = limits.run + limits.grace + limits.cancel
    if limits.start is not None:
        spec["activeDeadlineSeconds"] = math.ceil(limits.start + after_start)
    elif pod.get("activeDeadlineSeconds") is None:
        pod["activeDeadlineSeconds"] = math.ceil(_PULLING + after_start)


def hold_ended(spec: JSONObject) -> None:
    """Let the ended Job stay long enough for its verdict to be read, whoever said less."""
    said = spec.get("ttlSecondsAfterFinished")
    if isinstance(said, int) and said < LEAST_TTL:
        spec["ttlSecondsAfterFinished"] = LEAST_TTL
