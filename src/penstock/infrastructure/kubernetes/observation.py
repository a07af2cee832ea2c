"""From what the cluster has of a Job to an observation: evidence in, a state out. Pure.

The run's end is the end of its own container, the first of the Job's manifest, whatever sidecars do. A verdict that
may be lost with its pod is written into the Job's annotation `END`, which wins over all else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from penstock.infrastructure.base import Handle
from penstock.infrastructure.kubernetes import objects, reasons, verdicts
from penstock.infrastructure.kubernetes.objects import Object
from penstock.model.attempts import Exit, Observation
from penstock.model.reasons import Phase, Reason

HANDLE_VERSION = 1
#: Seconds that the reason of an end without one may take to be told.
SETTLE_SECONDS = 10.0
#: Exit codes of SIGKILL and SIGTERM, of which the cluster may have to say why.
_ASKS_WHY = {137, 143}
_OF_IMAGES = frozenset({Reason.IMAGE_NOT_FOUND, Reason.IMAGE_NOT_PERMITTED, Reason.IMAGE_PULL_FAILED})


@dataclass(frozen=True)
class Evidence:
    """What is known of one Job. `gone`: its pods that were deleted, as they were last seen; `events`: words by reason."""

    job: Object
    pods: Sequence[Object] = ()
    gone: Sequence[Object] = ()
    events: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Judgement:
    """`doomed`: how the run ends once the Job is stopped, because going on makes no sense or no second pod may come.

    `puzzling`: the object whose events would say more. `lingers`: sidecars keep a pod going whose run has ended.
    """

    observation: Observation
    doomed: Exit | None = None
    puzzling: str | None = None
    lingers: bool = False


def handle_of(job: Object, cluster: str) -> Handle:
    """The handle of a Job, the same whoever makes it."""
    metadata = job["metadata"]
    data = {
        "cluster": cluster,
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "owner": objects.owner_of(job),
        "keep": True if job["spec"].get("ttlSecondsAfterFinished") is not None else None,
    }
    return Handle(verdicts.TYPE, HANDLE_VERSION, data)


def judge(evidence: Evidence, now: datetime) -> Judgement:
    """The state of the Job now."""
    job = evidence.job
    name = objects.flow_container(job)
    live = [pod for pod in evidence.pods if objects.is_live(pod, name)]
    end = verdicts.end_of(job)
    if end is not None:
        return Judgement(_stopping(end, live, name, now) if live else ended(end, now))
    pod = objects.newest(live) or objects.newest(evidence.pods)
    if pod is None:
        return _without_pod(evidence, now)
    if not objects.is_stopping(job) and not objects.is_decided(job):
        lost = _lost_before(evidence, pod, live)
        if lost is not None:
            return _not_twice(evidence, lost, now)
    if pod in live:
        return _live(evidence, pod, now)
    first = _replaced(evidence, pod)
    if first is not None:
        return Judgement(ended(verdicts.exit_of(first, job, now), now))
    found = verdicts.exit_of(pod, job, now)
    if _is_unsettled(pod, job, found, now):
        message = f"{found.message} Its reason may still be told."
        return Judgement(Observation(status="RUNNING", observed_at=now, message=message), puzzling=objects.uid_of(pod))
    return Judgement(ended(found, now), lingers=objects.phase_of(pod) not in objects.TERMINAL)


def _stopping(end: Exit, live: Sequence[Object], container: str, now: datetime) -> Observation:
    """A run whose end is known, and whose pod is not gone yet."""
    message = f"It is being stopped: {end.message}"
    if any(objects.has_started(pod, container) for pod in live):
        return Observation(status="RUNNING", observed_at=now, message=message)
    waiting_for = "its pod, which never ran, to be gone"
    return Observation(
        status="PENDING",
        observed_at=now,
        message=message,
        reason=end.reason,
        phase=Phase.IMAGE if end.reason in _OF_IMAGES else Phase.START,
        waiting_for=waiting_for,
    )


def ended(end: Exit, now: datetime) -> Observation:
    return Observation(status="ENDED", observed_at=now, message=end.message, reason=end.reason, exit=end)


def _is_unsettled(pod: Object, job: Object, end: Exit, now: datetime) -> bool:
    """Whether it is too early to say why it ended: a node's word may come later than the exit code."""
    asks = end.code is None or (end.code in _ASKS_WHY and end.reason is Reason.SIGNALLED)
    if not asks or objects.is_stopping(job) or objects.finished(job) is not None:
        return False
    at = end.observed_at
    return at is not None and (now - at).total_seconds() < SETTLE_SECONDS


def _live(evidence: Evidence, pod: Object, now: datetime) -> Judgement:
    metadata, status = pod["metadata"], pod.get("status") or {}
    container = objects.flow_container(evidence.job)
    if status.get("reason") == "NodeLost":
        message = f"The node of pod {metadata['name']} does not answer."
        return Judgement(Observation(status="UNKNOWN", observed_at=now, message=message, reason=Reason.NODE_LOST))
    if metadata.get("deletionTimestamp"):
        return _leaving(pod, now)
    if "running" in objects.state_of(pod, container):
        return Judgement(Observation(status="RUNNING", observed_at=now))
    wait = _wait(evidence, pod, container)
    observation = Observation(
        status="PENDING",
        observed_at=now,
        message=wait.message,
        reason=wait.reason,
        phase=wait.phase,
        waiting_for=wait.waiting_for,
    )
    doomed = verdicts.an_exit(None, wait.reason, wait.message or wait.waiting_for, now) if wait.hopeless else None
    return Judgement(observation, doomed=doomed, puzzling=objects.uid_of(pod))


def _lost_before(evidence: Evidence, pod: Object, live: Sequence[Object]) -> Object | None:
    """A pod in which the run was, and which is lost to it: deleted, or followed by another."""
    container = objects.flow_container(evidence.job)
    for each in (*evidence.gone, *evidence.pods):
        if not objects.has_started(each, container):
            continue
        followed = pod in live and objects.uid_of(each) != objects.uid_of(pod)
        if followed or (each in live and each["metadata"].get("deletionTimestamp")):
            return each
    return None


def _replaced(evidence: Evidence, pod: Object) -> Object | None:
    """The pod that was deleted while the run was in it, where another has come, been refused, and gone since."""
    container = objects.flow_container(evidence.job)
    if objects.is_stopping(evidence.job):
        return None
    started = [each for each in evidence.gone if objects.has_started(each, container)]
    return next((each for each in started if objects.uid_of(each) != objects.uid_of(pod)), None)


def _not_twice(evidence: Evidence, lost: Object, now: datetime) -> Judgement:
    """Kubernetes may put another pod in the place of a lost one, whatever the Job's backoffLimit: none is wanted."""
    name = lost["metadata"]["name"]
    if objects.is_live(lost, objects.flow_container(evidence.job)):
        reason, words = reasons.of_disruption(lost) or reasons.of_events(evidence.events)
        end = verdicts.an_exit(None, reason, f"Pod {name} was deleted while the run was in it: {words}", now)
    else:
        end = verdicts.exit_of(lost, evidence.job, now)
    message = f"{end.message} No other pod takes its place: no run is started twice."
    return Judgement(
        Observation(status="RUNNING", observed_at=now, message=message),
        doomed=end,
        puzzling=objects.uid_of(lost),
    )


def _leaving(pod: Object, now: datetime) -> Judgement:
    """A pod that is being deleted, and whose node has not said that it is gone."""
    name, due = pod["metadata"]["name"], objects.moment(pod["metadata"]["deletionTimestamp"])
    if due is not None and (now - due).total_seconds() > 3 * SETTLE_SECONDS:
        message = f"Pod {name} was to be gone by {due:%H:%M:%S}; its node does not confirm it."
        return Judgement(Observation(status="UNKNOWN", observed_at=now, message=message, reason=Reason.NODE_LOST))
    message = f"Pod {name} is being deleted."
    return Judgement(Observation(status="RUNNING", observed_at=now, message=message))


def _wait(evidence: Evidence, pod: Object, container: str) -> reasons.Wait:
    status = pod.get("status") or {}
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return reasons.of_unschedulable(str(condition.get("message") or ""))
    said = evidence.events.get("Failed") or evidence.events.get("FailedMount") or ""
    found = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    for item in sorted(found, key=lambda item: item.get("name") != container):
        waiting = (item.get("state") or {}).get("waiting") or {}
        word = str(waiting.get("reason") or "")
        if word and word not in {"ContainerCreating", "PodInitializing"}:
            return reasons.of_waiting(word, str(waiting.get("message") or ""), str(item.get("image") or "?"), said)
    if not found:
        return reasons.Wait("a node", Phase.SCHEDULE)
    pulling = evidence.events.get("Pulling")
    if pulling and "Pulled" not in evidence.events:
        return reasons.Wait(f"image {found[-1].get('image')}", Phase.IMAGE, None, pulling)
    return reasons.Wait("its container to be made", Phase.START, None, evidence.events.get("FailedMount"))


def _without_pod(evidence: Evidence, now: datetime) -> Judgement:
    job = evidence.job
    over = objects.finished(job)
    lost = objects.newest(evidence.gone)
    if over is None and objects.is_stopping(job):
        return _half_stopped(job, lost, now)
    if over is None:
        if lost is not None and objects.has_started(lost, objects.flow_container(job)):
            found = verdicts.exit_of(lost, job, now)
            return Judgement(Observation(status="RUNNING", observed_at=now, message=found.message), doomed=found)
        return _unmade(evidence, now)
    kind, word, message = over
    if kind == "Complete":
        return Judgement(ended(verdicts.an_exit(0, None, "The Job is complete; its pod is gone.", now), now))
    if word == "DeadlineExceeded":
        return Judgement(ended(verdicts.an_exit(None, Reason.RUN_TIMEOUT, message or word, now), now))
    if lost is not None:
        return Judgement(ended(verdicts.exit_of(lost, job, now), now))
    text = f"The Job has failed ({word or 'no reason given'}), and its pod is gone: {message}"
    return Judgement(ended(verdicts.an_exit(None, Reason.DELETED, text, now), now))


def _half_stopped(job: Object, lost: Object | None, now: datetime) -> Judgement:
    """Its pods are gone, and whoever stopped it has not written down how it ended: soon, or never."""
    since = objects.moment(job["metadata"]["annotations"][objects.STOPPING])
    if lost is None and since is not None and (now - since).total_seconds() < SETTLE_SECONDS:
        return Judgement(Observation(status="RUNNING", observed_at=now, message="It is being stopped."))
    if lost is not None:
        return Judgement(ended(verdicts.exit_of(lost, job, now), now))
    return Judgement(
        ended(verdicts.an_exit(None, Reason.UNKNOWN, "It was stopped; nobody saw how it ended.", now), now)
    )


def _unmade(evidence: Evidence, now: datetime) -> Judgement:
    refused = evidence.events.get("FailedCreate")
    wait = reasons.of_uncreated(refused) if refused else reasons.Wait("its pod to be made", Phase.SCHEDULE)
    if evidence.job["spec"].get("suspend"):
        wait = reasons.Wait("somebody to resume its Job, which is suspended", Phase.SCHEDULE)
    observation = Observation(
        status="PENDING",
        observed_at=now,
        message=wait.message,
        reason=wait.reason,
        phase=wait.phase,
        waiting_for=wait.waiting_for,
    )
    return Judgement(observation, puzzling=objects.uid_of(evidence.job))
