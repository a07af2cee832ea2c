"""How a run ended: from its container, its pod and its Job, whichever knows. Pure."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime

from penstock.infrastructure.kubernetes import objects, reasons
from penstock.infrastructure.kubernetes.objects import Object
from penstock.model.attempts import Exit
from penstock.model.reasons import Reason

#: The type of infrastructure, which is the source of these verdicts.
TYPE = "kubernetes-job"
#: Exit code of an engine that its server has refused: another process runs the attempt, or it is over.
REFUSED = 78
#: Seconds after a Job's start by which it has made its first pod.
_AT_ONCE_SECONDS = 5.0
#: How a Job tells which rule of its podFailurePolicy has failed it.
_RULE_OF_CODE = re.compile(r"failed with exit code (\d+)")
_RULE_OF_DISRUPTION = "has condition DisruptionTarget"


def end_of(job: Object) -> Exit | None:
    """The verdict that the Job carries."""
    text = (job["metadata"].get("annotations") or {}).get(objects.END)
    try:
        return Exit.model_validate(json.loads(text)) if text else None
    except ValueError:
        return None


def exit_of(pod: Object, job: Object, now: datetime, events: Mapping[str, str] | None = None) -> Exit:
    """How the run ended in this pod, which runs no more, or is gone. `events` may say why it was killed or deleted."""
    found = _exit_of(pod, job, now)
    if found.reason is Reason.SIGNALLED:
        told = reasons.of_kill(events or {}, objects.flow_container(job))
        return found.model_copy(update={"message": f"{found.message} {told}"}) if told else found
    if found.reason is not Reason.DELETED:
        return found
    reason, words = reasons.of_events(events or {})
    message = f"{found.message} {words}" if reason is not Reason.DELETED else found.message
    return found.model_copy(update={"reason": reason, "message": message})


def exit_of_job(job: Object, now: datetime) -> Exit | None:
    """How the run ended by the Job's own word, of whose pods nothing is known; None while it has none."""
    over = objects.finished(job)
    if over is None:
        return None
    kind, word, message = over
    if kind == "Complete":
        return an_exit(0, None, "The Job is complete; its pod is gone.", now)
    if word == "DeadlineExceeded":
        return an_exit(None, Reason.RUN_TIMEOUT, message or word, now)
    text = f"The Job has failed ({word or 'no reason given'}), and its pod is gone: {message}"
    if _RULE_OF_DISRUPTION in message:
        return an_exit(None, Reason.EVICTED, text, now)
    if code := _RULE_OF_CODE.search(message):
        return an_exit(int(code[1]), Reason.SIGNALLED if _signal(int(code[1])) else Reason.EXITED, text, now)
    return an_exit(None, Reason.DELETED, text, now)


def took_a_place(pod: Object, job: Object, events: Mapping[str, str]) -> bool:
    """Whether Kubernetes has made this pod in the place of another, of which nothing is left.

    By the event of the Job's first pod; where that is not to be had, by the time of its birth: a Job makes its first pod
    at once, unless it could not.
    """
    if "SuccessfulCreate" in events:
        return not events["SuccessfulCreate"].endswith(str(pod["metadata"]["name"]))
    began = objects.moment((job.get("status") or {}).get("startTime"))
    made = objects.moment(pod["metadata"].get("creationTimestamp"))
    late = began is not None and made is not None and (made - began).total_seconds() > _AT_ONCE_SECONDS
    return late and "FailedCreate" not in events


def exit_of_the_first(pod: Object, now: datetime, events: Mapping[str, str]) -> Exit:
    """How the run ended in a pod that nobody knows any more, and in whose place Kubernetes has put this one."""
    name = pod["metadata"]["name"]
    reason, words = reasons.of_events(events)
    text = f"Its pod was deleted; Kubernetes put another, {name}, in its place, which was refused. {words}"
    at = objects.moment(pod["metadata"].get("creationTimestamp"))
    return an_exit(None, reason, text, at or now)


def _exit_of(pod: Object, job: Object, now: datetime) -> Exit:
    container = objects.flow_container(job)
    state = objects.terminated(pod, container)
    disruption = reasons.of_disruption(pod)
    deadline = _past_deadline(job)
    name = pod["metadata"]["name"]
    if state is None:
        of_deadline = (Reason.RUN_TIMEOUT, deadline) if deadline is not None else None
        reason, words = disruption or of_deadline or _other_end(pod, container)
        return an_exit(None, reason, f"Pod {name} ended before its run did: {words}.", objects.deleted_at(pod) or now)
    code = int(state.get("exitCode", -1))
    at = objects.moment(state.get("finishedAt")) or now
    message = _describe(container, code, state, pod)
    deleted = objects.was_deleted_before(pod, at) and not objects.is_stopping(job)
    if code == 0 and not deleted:  # else it was told to end, whatever it makes of that
        return an_exit(0, None, message, at)
    if state.get("reason") == "OOMKilled":
        return an_exit(code, Reason.OUT_OF_MEMORY, message, at, oom=True)
    if disruption is not None:
        return an_exit(code, disruption[0], f"{message} {disruption[1]}", at)
    if deadline is not None:
        return an_exit(code, Reason.RUN_TIMEOUT, f"{message} {deadline}", at)
    if reasons.is_no_command(str(state.get("reason") or ""), str(state.get("message") or "")):
        return an_exit(code, Reason.COMMAND_NOT_FOUND, message, at)
    if state.get("reason") in {"StartError", "ContainerCannotRun"}:
        return an_exit(code, Reason.START_FAILED, message, at)
    if deleted:
        return an_exit(code, Reason.DELETED, f"{message} Somebody had deleted the pod.", at)
    return an_exit(code, Reason.SIGNALLED if _signal(code) else Reason.EXITED, message, at)


def judge_stopped(job: Object, pods: Sequence[Object], now: datetime, half_done: bool) -> Exit:
    """How the run ended in one of the pods, of which none runs any more.

    `half_done`: somebody else began to stop it, and may have seen what is not there any more.
    """
    container = objects.flow_container(job)
    pod = objects.first_started(pods, container) or objects.newest(pods)
    if pod is not None and objects.has_started(pod, container):
        return exit_of(pod, job, now)
    if pod is None and half_done:
        return an_exit(None, Reason.UNKNOWN, "It was stopped; nobody saw how it ended.", now)
    return an_exit(None, Reason.CANCELLED, _never_ran(pod), now)


def _never_ran(pod: Object | None) -> str:
    """That its container never ran, and what it waited for, in Kubernetes's words."""
    status = (pod or {}).get("status") or {}
    said = [
        condition.get("message")
        for condition in status.get("conditions") or ()
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False"
    ]
    statuses = (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ()))
    said += [((item.get("state") or {}).get("waiting") or {}).get("message") for item in statuses]
    words = next((str(text).strip() for text in said if text), "")
    return f"It was stopped before its container ran: {words}" if words else "It was stopped before its container ran."


def an_exit(code: int | None, reason: Reason | None, message: str, at: datetime, oom: bool = False) -> Exit:
    """An exit of a job of Kubernetes; `code` None: nobody knows it."""
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
    text = f"Container {container} exited with code {_code(state)}"
    said = str(state.get("message") or "").strip()
    text = f"{text}: {said}" if said else f"{text}."
    before = _failed_before(pod, container, state) if code != 0 else []
    return f"{text} Before it, {' and '.join(before)}." if before else text


def _code(state: Object) -> str:
    """A container's exit code, with Kubernetes' word for it where that says more."""
    code, word = state.get("exitCode", -1), str(state.get("reason") or "")
    return f"{code} ({word})" if word and word not in {"Error", "Completed"} else str(code)


def _failed_before(pod: Object, container: str, state: Object) -> list[str]:
    """What had come of containers beside the run's when it ended badly: it may have needed them."""
    end = objects.moment(state.get("finishedAt"))
    found = []
    for status in (pod.get("status") or {}).get("containerStatuses") or ():
        other = (status.get("state") or {}).get("terminated") or {}
        at = objects.moment(other.get("finishedAt"))
        if (
            status.get("name") != container
            and other.get("exitCode")
            and at is not None
            and end is not None
            and at < end
        ):
            found.append(f"container {status.get('name')} had exited with code {_code(other)}")
    return found


def _limit(pod: Object, container: str) -> str | None:
    for item in (pod.get("spec") or {}).get("containers") or ():
        if item.get("name") == container:
            found = ((item.get("resources") or {}).get("limits") or {}).get("memory")
            return str(found) if found else None
    return None


def _other_end(pod: Object, container: str) -> tuple[Reason, str]:
    """Why a pod ended whose flow run's container has no end of its own."""
    beside = objects.sidecars(pod)
    for status in (pod.get("status") or {}).get("initContainerStatuses") or ():
        if status.get("name") in beside:
            continue  # Kubernetes ends it when the pod ends, and starts it again before
        state = (status.get("state") or {}).get("terminated")
        if state and state.get("exitCode"):
            said = str(state.get("message") or "").strip()
            words = f"init container {status.get('name')} exited with code {_code(state)}"
            return Reason.START_FAILED, f"{words}: {said}" if said else words
    if pod["metadata"].get("deletionTimestamp") or objects.phase_of(pod) not in objects.TERMINAL:
        return Reason.DELETED, "it was deleted, and nobody saw how its container ended"
    word = (pod.get("status") or {}).get("message") or (pod.get("status") or {}).get("reason")
    return Reason.UNKNOWN, str(word or "Kubernetes does not say why")


def _past_deadline(job: Object) -> str | None:
    for condition in (job.get("status") or {}).get("conditions") or ():
        if condition.get("status") == "True" and condition.get("reason") == "DeadlineExceeded":
            return str(condition.get("message") or "The Job's activeDeadlineSeconds are over.")
    return None
