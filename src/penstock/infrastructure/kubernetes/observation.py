"""From what the cluster has of a Job to an observation: evidence in, a state out. Pure.

The run's end is the end of its own container, the first of the Job's manifest, whatever sidecars do. A verdict that
may be lost with its pod is written into the Job's annotation `END`, which wins over all else.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from penstock.infrastructure.base import Handle
from penstock.infrastructure.kubernetes import reasons
from penstock.infrastructure.variables import ATTEMPT_ID
from penstock.model.attempts import Exit, Observation
from penstock.model.reasons import Phase, Reason

TYPE, HANDLE_VERSION = "kubernetes-job", 1
OWNER = "penstock.io/owner"
#: Annotations of a Job: how its run ended, and since when it is being stopped.
END, STOPPING = "penstock.io/end", "penstock.io/stopping"
JOB_LABEL = "job-name"

#: Seconds that the reason of an end without one may take to be told.
SETTLE_SECONDS = 10.0
#: Exit codes of SIGKILL and SIGTERM, of which the cluster may have to say why.
_ASKS_WHY = {137, 143}
_TERMINAL = {"Succeeded", "Failed"}
Object = Mapping[str, Any]


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
        "owner": owner_of(job),
        "keep": True if job["spec"].get("ttlSecondsAfterFinished") is not None else None,
    }
    return Handle(TYPE, HANDLE_VERSION, data)


def owner_of(job: Object) -> str:
    return str((job["metadata"].get("labels") or {}).get(OWNER, ""))


def attempt_of(job: Object) -> UUID | None:
    """The attempt whose Job this is, by the variable that carries it."""
    for item in job["spec"]["template"]["spec"]["containers"][0].get("env") or ():
        if item.get("name") == ATTEMPT_ID:
            with suppress(ValueError):
                return UUID(str(item.get("value")))
    return None


def judge(evidence: Evidence, now: datetime) -> Judgement:
    """The state of the Job now."""
    job = evidence.job
    name = flow_container(job)
    live = [pod for pod in evidence.pods if is_live(pod, name)]
    end = end_of(job)
    if end is not None:
        if live:
            return Judgement(
                Observation(status="RUNNING", observed_at=now, message=f"It is being stopped: {end.message}")
            )
        return Judgement(ended(end, now))
    pod = newest(live) or newest(evidence.pods)
    if pod is None:
        return _without_pod(evidence, now)
    if not is_stopping(job) and not is_decided(job):
        lost = _lost_before(evidence, pod, live)
        if lost is not None:
            return _not_twice(evidence, lost, now)
    if pod in live:
        return _live(evidence, pod, now)
    found = exit_of(pod, job, now)
    if _is_unsettled(pod, job, found, now):
        message = f"{found.message} Its reason may still be told."
        return Judgement(Observation(status="RUNNING", observed_at=now, message=message), puzzling=_uid(pod))
    return Judgement(ended(found, now), lingers=_phase(pod) not in _TERMINAL)


def ended(end: Exit, now: datetime) -> Observation:
    return Observation(status="ENDED", observed_at=now, message=end.message, reason=end.reason, exit=end)


def flow_container(job: Object) -> str:
    """The name of the flow run's container."""
    return str(job["spec"]["template"]["spec"]["containers"][0]["name"])


def is_live(pod: Object, container: str) -> bool:
    """Whether the flow run's container runs in this pod, or may come to."""
    return _phase(pod) not in _TERMINAL and _terminated(pod, container) is None


def is_active(pod: Object) -> bool:
    """Whether any container runs in this pod, or may come to."""
    return _phase(pod) not in _TERMINAL


def has_started(pod: Object, container: str) -> bool:
    """Whether the flow run's container ran in this pod."""
    state = _state(pod, container)
    return "running" in state or "terminated" in state


def is_stopping(job: Object) -> bool:
    return STOPPING in (job["metadata"].get("annotations") or {})


def end_of(job: Object) -> Exit | None:
    """The verdict that the Job carries."""
    text = (job["metadata"].get("annotations") or {}).get(END)
    try:
        return Exit.model_validate(json.loads(text)) if text else None
    except ValueError:
        return None


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


def exit_of(pod: Object, job: Object, now: datetime) -> Exit:
    """How the run ended in this pod, which runs no more, or is gone."""
    container = flow_container(job)
    state = _terminated(pod, container)
    disruption = reasons.of_disruption(pod)
    deadline = _past_deadline(job)
    name = pod["metadata"]["name"]
    if state is None:
        reason, words = disruption or _other_end(pod, container)
        return _exit(None, reason, f"Pod {name} ended before its run did: {words}.", _time_of(pod) or now)
    code = int(state.get("exitCode", -1))
    at = _parse(state.get("finishedAt")) or now
    message = _describe(container, code, state, pod)
    if code == 0:
        return _exit(0, None, message, at)
    if state.get("reason") == "OOMKilled":
        return _exit(code, Reason.OUT_OF_MEMORY, message, at, oom=True)
    if disruption is not None:
        return _exit(code, disruption[0], f"{message} {disruption[1]}", at)
    if deadline is not None:
        return _exit(code, Reason.RUN_TIMEOUT, f"{message} {deadline}", at)
    if reasons.is_no_command(str(state.get("reason") or ""), str(state.get("message") or "")):
        return _exit(code, Reason.COMMAND_NOT_FOUND, message, at)
    if state.get("reason") in {"StartError", "ContainerCannotRun"}:
        return _exit(code, Reason.START_FAILED, message, at)
    if pod["metadata"].get("deletionTimestamp") and not is_stopping(job):
        return _exit(code, Reason.DELETED, f"{message} Somebody had deleted the pod.", at)
    return _exit(code, Reason.SIGNALLED if _signal(code) else Reason.EXITED, message, at)


def _exit(code: int | None, reason: Reason | None, message: str, at: datetime, oom: bool = False) -> Exit:
    signal = _signal(code) if code is not None else None
    return Exit(code=code, signal=signal, oom=oom, reason=reason, message=message, source=TYPE, observed_at=at)


def _signal(code: int) -> int | None:
    """The signal that a container's exit code of 128 and more stands for."""
    return code - 128 if 128 < code < 128 + 65 else None


def _describe(container: str, code: int, state: Object, pod: Object) -> str:
    if state.get("reason") == "OOMKilled":
        limit = _limit(pod, container)
        used = f"its limit of {limit} memory" if limit else "all the memory that the node could give"
        return f"OOMKilled: container {container} used {used} (exit code {code})."
    text = f"Container {container} exited with code {code}"
    word = str(state.get("reason") or "")
    if word and word not in {"Error", "Completed"}:
        text += f" ({word})"
    said = str(state.get("message") or "").strip()
    return f"{text}: {said}" if said else f"{text}."


def _limit(pod: Object, container: str) -> str | None:
    for item in (pod.get("spec") or {}).get("containers") or ():
        if item.get("name") == container:
            found = ((item.get("resources") or {}).get("limits") or {}).get("memory")
            return str(found) if found else None
    return None


def _other_end(pod: Object, container: str) -> tuple[Reason, str]:
    """Why a pod ended whose flow run's container has no end of its own."""
    for status in (pod.get("status") or {}).get("initContainerStatuses") or ():
        state = (status.get("state") or {}).get("terminated")
        if state and state.get("exitCode"):
            words = f"init container {status.get('name')} exited with code {state['exitCode']}"
            return Reason.START_FAILED, f"{words} {state.get('message') or ''}".strip()
    if pod["metadata"].get("deletionTimestamp") or _phase(pod) not in _TERMINAL:
        return Reason.DELETED, "it was deleted, and nobody saw how its container ended"
    word = (pod.get("status") or {}).get("message") or (pod.get("status") or {}).get("reason")
    return Reason.UNKNOWN, str(word or "Kubernetes does not say why")


def _is_unsettled(pod: Object, job: Object, end: Exit, now: datetime) -> bool:
    """Whether it is too early to say why it ended: a node's word may come later than the exit code."""
    asks = end.code is None or (end.code in _ASKS_WHY and end.reason is Reason.SIGNALLED)
    if not asks or is_stopping(job) or finished(job) is not None:
        return False
    at = end.observed_at
    return at is not None and (now - at).total_seconds() < SETTLE_SECONDS


def _past_deadline(job: Object) -> str | None:
    for condition in (job.get("status") or {}).get("conditions") or ():
        if condition.get("status") == "True" and condition.get("reason") == "DeadlineExceeded":
            return str(condition.get("message") or "The Job's activeDeadlineSeconds are over.")
    return None


def _live(evidence: Evidence, pod: Object, now: datetime) -> Judgement:
    metadata, status = pod["metadata"], pod.get("status") or {}
    container = flow_container(evidence.job)
    if status.get("reason") == "NodeLost":
        message = f"The node of pod {metadata['name']} does not answer."
        return Judgement(Observation(status="UNKNOWN", observed_at=now, message=message, reason=Reason.NODE_LOST))
    if metadata.get("deletionTimestamp"):
        return _leaving(pod, now)
    if "running" in _state(pod, container):
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
    doomed = _exit(None, wait.reason, wait.message or wait.waiting_for, now) if wait.hopeless else None
    return Judgement(observation, doomed=doomed, puzzling=_uid(pod))


def _lost_before(evidence: Evidence, pod: Object, live: Sequence[Object]) -> Object | None:
    """A pod in which the run was, and which is lost to it: deleted, or followed by another."""
    container = flow_container(evidence.job)
    for each in (*evidence.gone, *evidence.pods):
        if not has_started(each, container):
            continue
        followed = pod in live and _uid(each) != _uid(pod)
        if followed or (each in live and each["metadata"].get("deletionTimestamp")):
            return each
    return None


def _not_twice(evidence: Evidence, lost: Object, now: datetime) -> Judgement:
    """Kubernetes may put another pod in the place of a lost one, whatever the Job's backoffLimit: none is wanted."""
    name = lost["metadata"]["name"]
    if is_live(lost, flow_container(evidence.job)):
        reason, words = reasons.of_disruption(lost) or reasons.of_events(evidence.events)
        end = _exit(None, reason, f"Pod {name} was deleted while the run was in it: {words}", now)
    else:
        end = exit_of(lost, evidence.job, now)
    message = f"{end.message} No other pod takes its place: no run is started twice."
    return Judgement(
        Observation(status="RUNNING", observed_at=now, message=message),
        doomed=end,
        puzzling=_uid(lost),
    )


def _leaving(pod: Object, now: datetime) -> Judgement:
    """A pod that is being deleted, and whose node has not said that it is gone."""
    name, due = pod["metadata"]["name"], _parse(pod["metadata"]["deletionTimestamp"])
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
    over = finished(job)
    lost = newest(evidence.gone)
    if over is None and is_stopping(job):
        return _half_stopped(job, lost, now)
    if over is None:
        if lost is not None and has_started(lost, flow_container(job)):
            found = exit_of(lost, job, now)
            return Judgement(Observation(status="RUNNING", observed_at=now, message=found.message), doomed=found)
        return _unmade(evidence, now)
    kind, word, message = over
    if kind == "Complete":
        return Judgement(ended(_exit(0, None, "The Job is complete; its pod is gone.", now), now))
    if word == "DeadlineExceeded":
        return Judgement(ended(_exit(None, Reason.RUN_TIMEOUT, message or word, now), now))
    if lost is not None:
        return Judgement(ended(exit_of(lost, job, now), now))
    text = f"The Job has failed ({word or 'no reason given'}), and its pod is gone: {message}"
    return Judgement(ended(_exit(None, Reason.DELETED, text, now), now))


def _half_stopped(job: Object, lost: Object | None, now: datetime) -> Judgement:
    """Its pods are gone, and whoever stopped it has not written down how it ended: soon, or never."""
    since = _parse(job["metadata"]["annotations"][STOPPING])
    if lost is None and since is not None and (now - since).total_seconds() < SETTLE_SECONDS:
        return Judgement(Observation(status="RUNNING", observed_at=now, message="It is being stopped."))
    if lost is not None:
        return Judgement(ended(exit_of(lost, job, now), now))
    return Judgement(ended(_exit(None, Reason.UNKNOWN, "It was stopped; nobody saw how it ended.", now), now))


def _unmade(evidence: Evidence, now: datetime) -> Judgement:
    refused = evidence.events.get("FailedCreate")
    wait = reasons.of_uncreated(refused) if refused else reasons.Wait("its pod to be made", Phase.SCHEDULE)
    observation = Observation(
        status="PENDING",
        observed_at=now,
        message=wait.message,
        reason=wait.reason,
        phase=wait.phase,
        waiting_for=wait.waiting_for,
    )
    return Judgement(observation, puzzling=_uid(evidence.job))


def _state(pod: Object, container: str) -> Object:
    for status in (pod.get("status") or {}).get("containerStatuses") or ():
        if status.get("name") == container:
            found: Object = status.get("state") or {}
            return found
    return {}


def _terminated(pod: Object, container: str) -> Object | None:
    found: Object | None = _state(pod, container).get("terminated")
    return found


def _phase(pod: Object) -> str:
    return str((pod.get("status") or {}).get("phase") or "Pending")


def _uid(item: Object) -> str:
    return str(item["metadata"].get("uid"))


def newest(pods: Sequence[Object]) -> Object | None:
    """The pod that was made last."""
    return max(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp")), default=None)


def _time_of(pod: Object) -> datetime | None:
    return _parse(pod["metadata"].get("deletionTimestamp"))


def _parse(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text).replace("Z", "+00:00")) if text else None
    except ValueError:
        return None


def judge_stopped(job: Object, pods: Sequence[Object], now: datetime, half_done: bool) -> Exit:
    """How the run ended in one of the pods, of which none runs any more.

    `half_done`: somebody else began to stop it, and may have seen what is not there any more.
    """
    container = flow_container(job)
    pod = newest([pod for pod in pods if _terminated(pod, container)]) or newest(pods)
    if pod is not None and has_started(pod, container):
        return exit_of(pod, job, now)
    if pod is None and half_done:
        return _exit(None, Reason.UNKNOWN, "It was stopped; nobody saw how it ended.", now)
    return _exit(None, Reason.CANCELLED, "It was stopped before its container ran.", now)
