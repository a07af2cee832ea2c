"""What Kubernetes' own words mean: why a pod waits, how a container ended, why the API server refused. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from penstock.model.reasons import Phase, Reason

#: What of a registry's answer says that another try changes nothing: first match wins.
_PULLS = (
    (r"toomanyrequests|too many requests|\b429\b", Reason.IMAGE_PULL_FAILED, False),
    (
        r"unauthorized|access denied|\bdenied\b|authorization failed|no basic auth|\b401\b|\b403\b|forbidden|authentication required",
        Reason.IMAGE_NOT_PERMITTED,
        True,
    ),
    (
        r"no such host|i/o timeout|connection refused|connection reset|no route|tls|x509|certificate|\b5\d\d\b|deadline",
        Reason.IMAGE_PULL_FAILED,
        False,
    ),
    (r"not ?found|manifest unknown|does not exist|no such image|name unknown|\b404\b", Reason.IMAGE_NOT_FOUND, True),
)
_NO_COMMAND = re.compile(
    r"executable file not found|no such file or directory|no command specified|permission denied|exec format error",
    re.I,
)
#: What admission says of a pod that only another block, or another rule of the namespace, lets in: a quota that wants
#: limits said, a LimitRange, and classes that there are not.
_UNFIT = re.compile(
    r"failed quota: .*must specify|(maximum|minimum) \S+ usage per |max limit to request ratio per "
    r"|no PriorityClass with name \S+ was found|RuntimeClass \S+ not found"
)
#: Events of containers that ran; a kubelet tells no more than some each second, and one of them will do.
_OF_RUNNING = frozenset({"Started", "Killing"})
#: The containers of which there is one of those, as fields of their pod.
RAN = "containers that ran"
#: What the event of a pull has before the words of which the container's status has the same.
_PULL_FAILED = re.compile(r'^Failed to pull image "[^"]*": ')
_BARE_WORD = re.compile(r"Error: \w+")
#: How a node tells of the probes for which it ends a container, and of the hook; one that is not ready only waits.
_PROBE_FAILED = re.compile(r"^(Liveness|Startup) probe failed")
_HOOK = "FailedPostStartHook"
#: Reasons of the pod condition DisruptionTarget, and of pods that a node has given up.
_DISRUPTIONS = {
    "PreemptionByScheduler": Reason.PREEMPTED,
    "PreemptionByKubeScheduler": Reason.PREEMPTED,
    "DeletionByTaintManager": Reason.EVICTED,
    "EvictionByEvictionAPI": Reason.EVICTED,
    "DeletionByPodGC": Reason.NODE_LOST,
    "TerminationByKubelet": Reason.EVICTED,
}
_POD_REASONS = {
    "Evicted": Reason.EVICTED,
    "Preempting": Reason.PREEMPTED,
    "NodeLost": Reason.NODE_LOST,
    "NodeShutdown": Reason.EVICTED,
    "Shutdown": Reason.EVICTED,
    "Terminated": Reason.EVICTED,
    "DeadlineExceeded": Reason.RUN_TIMEOUT,
    "OutOfcpu": Reason.NO_CAPACITY,
    "OutOfmemory": Reason.NO_CAPACITY,
    "OutOfpods": Reason.NO_CAPACITY,
    "NodeAffinity": Reason.NO_CAPACITY,
    "UnexpectedAdmissionError": Reason.NO_CAPACITY,
}

#: Events of pods that the cluster itself ends.
_TOLD = {
    "Preempted": Reason.PREEMPTED,
    "Evicted": Reason.EVICTED,
    "TaintManagerEviction": Reason.EVICTED,
    "NodeNotReady": Reason.NODE_LOST,
}


@dataclass(frozen=True)
class Wait:
    """What a pod waits for. `hopeless`: it will not get it, however long it waits."""

    waiting_for: str
    phase: Phase
    reason: Reason | None = None
    message: str | None = None
    hopeless: bool = False


def of_pull(message: str) -> tuple[Reason, bool]:
    """Why an image could not be fetched, and whether it never can be."""
    for pattern, reason, hopeless in _PULLS:
        if re.search(pattern, message, re.IGNORECASE):
            return reason, hopeless
    return Reason.IMAGE_PULL_FAILED, False


def of_waiting(reason: str, message: str, image: str, said: str) -> Wait:
    """What a container waits for. `message` is its status', `said` what the events tell of its pod's image."""
    words = message or said or reason
    if reason in {"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "ImageInspectError"}:
        cause = _cause_of_pull(reason, message, said)
        why, hopeless = of_pull(_without(cause, image))
        return Wait(f"image {image}", Phase.IMAGE, why, cause or words, hopeless)
    if reason == "ErrImageNeverPull":
        return Wait(f"image {image}", Phase.IMAGE, Reason.IMAGE_NOT_FOUND, words, hopeless=True)
    if reason == "InvalidImageName":
        return Wait(f"image {image}", Phase.IMAGE, Reason.CONFIGURATION_INVALID, words, hopeless=True)
    if reason == "CreateContainerConfigError":
        return Wait("what its configuration names", Phase.START, Reason.CONFIGURATION_INVALID, words, hopeless=True)
    if reason in {"CreateContainerError", "RunContainerError"}:
        missing = _NO_COMMAND.search(words) is not None
        why = Reason.COMMAND_NOT_FOUND if missing else Reason.START_FAILED
        return Wait("its container to start", Phase.START, why, words, hopeless=missing)
    return Wait("its container to be made", Phase.START, None, words if words != reason else said or None)


def _cause_of_pull(reason: str, message: str, said: str) -> str:
    """Why an image could not be fetched, in the same words from one try to the next, whichever object tells them."""
    told = _PULL_FAILED.sub("", said)
    if told in message and reason != "ImagePullBackOff":
        return message
    # a back-off repeats no cause: the event of the failed pull has it
    return (told or message) if reason == "ImagePullBackOff" or message in told else f"{message} {told}"


def of_unschedulable(message: str) -> Wait:
    """No node has room. Waiting is not failing: a node may come."""
    return Wait("room on a node", Phase.SCHEDULE, Reason.NO_CAPACITY, message or None)


def of_uncreated(message: str) -> Wait:
    """The Job could not make its pod."""
    if _is_of_quota(message):
        return Wait("room in the namespace's quota", Phase.SCHEDULE, Reason.NO_CAPACITY, message)
    if _UNFIT.search(message):
        return Wait("its pod to be let in", Phase.SCHEDULE, Reason.CONFIGURATION_INVALID, message, hopeless=True)
    return Wait("its pod to be let in", Phase.SCHEDULE, Reason.NOT_PERMITTED, message)


def of_disruption(pod: Mapping[str, Any]) -> tuple[Reason, str] | None:
    """Why the cluster itself ended the pod, with its words; None if it did not."""
    status = pod.get("status") or {}
    for condition in status.get("conditions") or ():
        if condition.get("type") == "DisruptionTarget" and condition.get("status") == "True":
            word = str(condition.get("reason") or "")
            return _DISRUPTIONS.get(word, Reason.EVICTED), str(condition.get("message") or word)
    word = str(status.get("reason") or "")
    if word in _POD_REASONS:
        return _POD_REASONS[word], str(status.get("message") or word)
    return None


def words_of(events: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The last words of the events about one object, by their reason. Of the pods that a Job has made, the first.

    Under `RAN` are the fields of all containers that events say something of which only one that ran is told of.
    """
    words: dict[str, str] = {}
    for event in sorted(events, key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or "")):
        reason, message = str(event.get("reason")), str(event.get("message") or "").strip()
        # a kubelet tells a failure by its cause and by a bare word, in two events of one reason
        if reason in _OF_RUNNING:
            field = str((event.get("involvedObject") or {}).get("fieldPath") or "")
            words[RAN] = f"{words.get(RAN, '')} {field}".strip()
        lesser = reason == "SuccessfulCreate" or _BARE_WORD.fullmatch(message) is not None
        if reason not in words or not lesser:
            words[reason] = message
    return words


def of_events(events: Mapping[str, str]) -> tuple[Reason, str]:
    """Why a pod was deleted, from what is told of it: before Kubernetes 1.26 it carries no condition that says so."""
    for word, reason in _TOLD.items():
        # one that was called off is told by the same word
        if word in events and not events[word].startswith("Cancelling"):
            return reason, events[word]
    return Reason.DELETED, "Kubernetes does not say by whom."


def of_kill(events: Mapping[str, str], container: str) -> str | None:
    """What a node says of a container that it ended itself: a probe, or the hook after its start, has failed."""
    killing, probed = events.get("Killing", ""), events.get("Unhealthy", "")
    if killing == _HOOK:
        return f"Kubernetes ended it, for its postStart hook failed: {events.get(_HOOK, '')}"
    if container in killing.split() and _PROBE_FAILED.match(probed):
        return f"Kubernetes ended it: {probed}"
    return None


def is_no_command(word: str, message: str) -> bool:
    """Whether a container ended because what it was to run is not there."""
    return word in {"StartError", "ContainerCannotRun"} and _NO_COMMAND.search(message) is not None


def of_refusal(status: int, message: str) -> Reason:
    """Why the API server did not take a Job."""
    if status == 403 and _is_of_quota(message):
        return Reason.NO_CAPACITY
    if status in {401, 403} and "admission webhook" not in message:
        return Reason.NOT_PERMITTED
    return Reason.CONFIGURATION_INVALID


def hint_of_refusal(status: int, message: str, namespace: str) -> str:
    """What to do about it."""
    if status == 404:
        return f"Create the namespace {namespace}, or correct the block's field namespace."
    if _is_of_quota(message):
        return f"Raise the quota of namespace {namespace}, or ask for less in the block's resources."
    if "admission" in message:
        return "A policy of the cluster refuses the Job: change the block, or the policy."
    if status in {401, 403}:
        return (
            f"Give the agent's account the Role for namespace {namespace} (penstock kubernetes manifest agent "
            f"--job-namespace {namespace}), or name another in the block's field namespace."
        )
    return "Correct the block's manifest or customizations: the message names the field."


def _is_of_quota(message: str) -> bool:
    """Whether a quota of the namespace leaves no room, or is so new that nobody has counted yet."""
    return "exceeded quota" in message or "status unknown for quota" in message


def _without(text: str, image: str) -> str:
    """`text` without the image's name, which may contain words and numbers of its own."""
    for name in (image, image.partition("@")[0], image.rpartition(":")[0]):
        text = text.replace(name, "") if name else text
    return text
