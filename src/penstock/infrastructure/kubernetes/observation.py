"""From what the cluster has of a Job to an observation: evidence in, a state out. Pure.

The run's end is the end of its own container, the first of the Job's manifest, whatever sidecars do. A verdict that
may be lost with its pod is written into the Job's annotation `END`, which wins over all else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from penstock.infrastructure.base import Handle
from penstock.infrastructure.kubernetes import objects, reasons, verdicts
from penstock.infrastructure.kubernetes.objects import Object
from penstock.model.attempts import Exit, Observation
from penstock.model.reasons import Phase, Reason

HANDLE_VERSION = 1
#: Exit codes of SIGKILL and SIGTERM, of which the cluster may have to say why.
_ASKS_WHY = {137, 143}
#: Seconds after such an end in which a node's events may come to say why, though its Job is over.
_EVENTS_SECONDS = 3.0
_OF_IMAGES = frozenset({Reason.IMAGE_NOT_FOUND, Reason.IMAGE_NOT_PERMITTED, Reason.IMAGE_PULL_FAILED})


@dataclass(frozen=True)
class Evidence:
    """What is known of one Job. `gone`: its pods that were deleted, as they were last seen; `events`: words by reason.

    `asked`: the objects whose events were asked for; None: no more will be known than there is. `ran`: the pods of which
    events say that the run's container started: of one that is deleted soon after, the status may never say so.
    """

    job: Object
    pods: Sequence[Object] = ()
    gone: Sequence[Object] = ()
    events: Mapping[str, str] = field(default_factory=dict)
    asked: frozenset[str] | None = None
    ran: frozenset[str] = frozenset()

    def may_say_more(self, item: Object) -> bool:
        """Whether the events of that object were not asked for yet."""
        return self.asked is not None and objects.uid_of(item) not in self.asked


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


def evidence_of(
    job: Object, pods: Sequence[Object], gone: Sequence[Object], told: Mapping[str, Mapping[str, str]]
) -> Evidence:
    """The evidence with what events tell of each object that was asked about, by its uid."""
    events = {reason: words for each in told.values() for reason, words in each.items()}
    started = f"{{{objects.flow_container(job)}}}"
    ran = frozenset(uid for uid, words in told.items() if started in words.get(reasons.RAN, ""))
    return Evidence(job, pods, gone, events, frozenset(told), ran)


def judge(evidence: Evidence, now: datetime) -> Judgement:
    """The state of the Job now. Pods that an earlier Job of its name has left are no evidence."""
    pods, gone = (
        [pod for pod in found if objects.is_of(pod, evidence.job)] for found in (evidence.pods, evidence.gone)
    )
    evidence = replace(evidence, pods=pods, gone=gone)
    found = _judge(evidence, now)
    unsure = _may_have_run(evidence, now)
    return found if unsure is None else replace(found, puzzling=objects.uid_of(unsure))


def _may_have_run(evidence: Evidence, now: datetime) -> Object | None:
    """A pod that was deleted before its status said that the run's container had started, and whose events may; they
    may also still come to say who deleted it.
    """
    container = objects.flow_container(evidence.job)
    if objects.is_stopping(evidence.job) or evidence.asked is None:
        return None
    for pod in (*evidence.gone, *evidence.pods):
        unsettled = objects.is_recent(objects.deleted_at(pod), now) or evidence.may_say_more(pod)
        if unsettled and objects.is_going(pod, container) and objects.uid_of(pod) not in evidence.ran:
            return pod
    return None


def _judge(evidence: Evidence, now: datetime) -> Judgement:
    job = evidence.job
    name = objects.flow_container(job)
    live = [pod for pod in evidence.pods if objects.is_live(pod, name)]
    first = objects.first_started([*evidence.gone, *evidence.pods], name, evidence.ran)
    end = verdicts.end_of(job)
    if end is not None:
        return Judgement(_as_written(end, job, live, first, now))
    pod = first or objects.newest(live) or objects.newest(evidence.pods)
    if pod is None or (first is not None and not evidence.pods):
        return _without_pod(evidence, first, now)
    if first is not None and _may_be_followed(evidence, first, live):
        return _not_twice(evidence, first, now)
    return _live(evidence, pod, now) if pod in live else _over(evidence, pod, now)


def _as_written(end: Exit, job: Object, live: Sequence[Object], first: Object | None, now: datetime) -> Observation:
    """The end that was written down holds once nothing runs any more, or may, that the run could be in.

    An exit code is the end of the run's own container. What Kubernetes puts in the place of a pod in which the run was
    does not bring it back: the server refuses it.
    """
    if end.code is not None:
        return ended(end, now)
    container = objects.flow_container(job)
    awaited = [pod for pod in live if first in (None, pod) or not objects.is_going(pod, container)]
    if awaited:
        return _stopping(end, awaited, container, now)
    if not live and objects.may_make_another(job, now):
        return Observation(status="RUNNING", observed_at=now, message=f"It is being stopped: {end.message}")
    return ended(end, now)


def _may_be_followed(evidence: Evidence, first: Object, live: Sequence[Object]) -> bool:
    """Whether the run is lost to the pod that it was in, and another pod is there or may come."""
    job = evidence.job
    container = objects.flow_container(job)
    wanted = not objects.is_stopping(job) and not objects.is_decided(job)
    if first in live:
        return wanted and bool(first["metadata"].get("deletionTimestamp"))
    if not wanted:
        return any(not objects.is_going(pod, container) for pod in live)
    again = int(job["spec"].get("backoffLimit") or 0) > 0 and objects.code_of(first, container) != 0
    return bool(live) or again or first not in evidence.pods or bool(first["metadata"].get("deletionTimestamp"))


def _over(evidence: Evidence, pod: Object, now: datetime) -> Judgement:
    """The run's container runs no more in its pod, or never will."""
    job = evidence.job
    found = verdicts.exit_of(pod, job, now, evidence.events)
    if found.code == verdicts.REFUSED and not objects.is_stopping(job):
        if evidence.may_say_more(job):
            return _unsettled(f"{found.message} It may not have been the Job's first pod.", job, now)
        if verdicts.took_a_place(pod, job, evidence.events):
            found = verdicts.exit_of_the_first(pod, now, evidence.events)
    untold = (found.reason is Reason.DELETED or _asks_why(found)) and evidence.may_say_more(pod)
    if untold or _is_unsettled(pod, job, found, now):
        return _unsettled(f"{found.message} Its reason may still be told.", pod, now)
    return Judgement(ended(found, now), lingers=pod in evidence.pods and objects.phase_of(pod) not in objects.TERMINAL)


def _unsettled(message: str, puzzling: Object, now: datetime) -> Judgement:
    observation = Observation(status="RUNNING", observed_at=now, message=message)
    return Judgement(observation, puzzling=objects.uid_of(puzzling))


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


def _asks_why(end: Exit) -> bool:
    return end.code in _ASKS_WHY and end.reason is Reason.SIGNALLED


def _is_unsettled(pod: Object, job: Object, end: Exit, now: datetime) -> bool:
    """Whether it is too early to say why it ended: a node's word may come later than the exit code."""
    if objects.is_stopping(job):
        return False
    if objects.finished(job) is not None:
        return _asks_why(end) and objects.is_recent(end.observed_at, now, _EVENTS_SECONDS)
    return (end.code is None or _asks_why(end)) and objects.is_recent(end.observed_at, now)


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
    # the scheduler's words are the pod's own: events, which an API server finds by reading all of a namespace, add nothing
    puzzling = None if wait.reason is Reason.NO_CAPACITY else objects.uid_of(pod)
    return _waits(wait, puzzling, now)


def _not_twice(evidence: Evidence, lost: Object, now: datetime) -> Judgement:
    """Kubernetes may put another pod in the place of a lost one, whatever the Job's backoffLimit: none is wanted."""
    job, name = evidence.job, lost["metadata"]["name"]
    gone = all(objects.uid_of(pod) != objects.uid_of(lost) for pod in evidence.pods)
    if not gone and objects.is_live(lost, objects.flow_container(job)):
        reason, words = reasons.of_disruption(lost) or reasons.of_events(evidence.events)
        end = verdicts.an_exit(None, reason, f"Pod {name} was deleted while the run was in it: {words}", now)
    else:
        end = verdicts.exit_of(lost, job, now, evidence.events)
    message = f"{end.message} No other pod takes its place: no run is started twice."
    # also of a Job that is over: Kubernetes leaves it the pods that were too many
    return Judgement(
        Observation(status="RUNNING", observed_at=now, message=message),
        doomed=None if objects.is_stopping(job) else end,
        puzzling=objects.uid_of(lost),
    )


def _leaving(pod: Object, now: datetime) -> Judgement:
    """A pod that is being deleted, and whose node has not said that it is gone."""
    name, due = pod["metadata"]["name"], objects.moment(pod["metadata"]["deletionTimestamp"])
    if due is not None and (now - due).total_seconds() > 3 * objects.SETTLE_SECONDS:
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


def _without_pod(evidence: Evidence, first: Object | None, now: datetime) -> Judgement:
    job = evidence.job
    lost = first or objects.newest(evidence.gone)
    if objects.finished(job) is None and objects.is_stopping(job):
        return _half_stopped(job, lost, now)
    said = verdicts.exit_of_job(job, now)
    if said is None:
        return _not_twice(evidence, first, now) if first is not None else _unmade(evidence, now)
    if lost is not None and said.code is None:
        return _over(evidence, lost, now)
    return Judgement(ended(said, now))


def _half_stopped(job: Object, lost: Object | None, now: datetime) -> Judgement:
    """Its pods are gone, and whoever stopped it has not written down how it ended: soon, or never."""
    since = objects.moment(job["metadata"]["annotations"][objects.STOPPING])
    if lost is None and objects.is_recent(since, now):
        return Judgement(Observation(status="RUNNING", observed_at=now, message="It is being stopped."))
    if lost is not None:
        return Judgement(ended(verdicts.exit_of(lost, job, now), now))
    return Judgement(
        ended(verdicts.an_exit(None, Reason.UNKNOWN, "It was stopped; nobody saw how it ended.", now), now)
    )


def _unmade(evidence: Evidence, now: datetime) -> Judgement:
    refused = evidence.events.get("FailedCreate")
    wait = reasons.of_uncreated(refused) if refused else reasons.Wait("its pod to be made", Phase.SCHEDULE)
    if objects.has_had_pods(evidence.job):
        return _unsettled("Its pod is gone, and the Job does not say yet how it ended.", evidence.job, now)
    if evidence.job["spec"].get("suspend"):
        wait = reasons.Wait("somebody to resume its Job, which is suspended", Phase.SCHEDULE)
    return _waits(wait, objects.uid_of(evidence.job), now)


def _waits(wait: reasons.Wait, puzzling: str | None, now: datetime) -> Judgement:
    observation = Observation(
        status="PENDING",
        observed_at=now,
        message=wait.message,
        reason=wait.reason,
        phase=wait.phase,
        waiting_for=wait.waiting_for,
    )
    doomed = verdicts.an_exit(None, wait.reason, wait.message or wait.waiting_for, now) if wait.hopeless else None
    return Judgement(observation, doomed=doomed, puzzling=puzzling)
