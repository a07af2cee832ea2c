"""What is made of pods that a cluster took away, by what a real API server told of them, word for word.

Each recording is played to a picture that was kept from the start, and to pictures of agents that came later and know
only what there was to be listed then.
"""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from penstock.infrastructure.kubernetes import objects, reasons
from penstock.infrastructure.kubernetes.connection import Connection
from penstock.infrastructure.kubernetes.observation import Judgement, evidence_of, judge
from penstock.infrastructure.kubernetes.watches import Mirror
from penstock.model.reasons import Reason

_FOLDER = Path(__file__).parent / "recorded"
Told = dict[str, Any]


def recording(name: str) -> list[Told]:
    """What was told about one Job: its versions, those of its pods, and events, in their order."""
    return [json.loads(line) for line in (_FOLDER / f"kubernetes-1.20-{name}.jsonl").read_text().splitlines()]


def play(told: list[Told], came: int, events: bool = True) -> Iterator[tuple[Told, Judgement]]:
    """What is made of each thing that was told after the first `came`, of which only what was left was listed."""
    mirror = Mirror(cast(Connection, None), "n", "owner", lambda: None)
    heard: list[Told] = []
    left: dict[str, Told] = {}
    name = next(each["object"]["metadata"]["name"] for each in told if each["object"]["kind"] == "Job")
    for number, each in enumerate(told, 1):
        item = json.loads(json.dumps(each["object"]))
        if item["kind"] == "Event":
            heard.append(item)
        elif number > came:
            _take(mirror, each["type"], item)
        elif each["type"] == "DELETED":
            del left[item["metadata"]["uid"]]
        else:
            left[item["metadata"]["uid"]] = item
        if number == came:
            for item in left.values():
                _take(mirror, "ADDED", item)
        if number >= max(came, 1) and mirror.job(name) is not None:
            yield each, _judge(mirror, name, heard if events else [], _time(told, each))


def _take(mirror: Mirror, kind: str, item: Told) -> None:
    collection = mirror.jobs if item["kind"] == "Job" else mirror.pods
    collection.drop(item) if kind == "DELETED" else collection.put(item)


def _judge(mirror: Mirror, name: str, heard: list[Told], now: datetime) -> Judgement:
    job, pods, gone = mirror.job(name), mirror.pods_of(name), mirror.gone_of(name)
    assert job is not None
    told = {
        uid: reasons.words_of([event for event in heard if event["involvedObject"]["uid"] == uid])
        for uid in map(objects.uid_of, (job, *pods, *gone))
    }
    return judge(evidence_of(job, pods, gone, told), now)


def _time(told: list[Told], each: Told) -> datetime:
    began = objects.moment(told[0]["object"]["metadata"]["creationTimestamp"])
    assert began is not None
    return began + timedelta(seconds=each["at"] - told[0]["at"])


def _where(told: list[Told], is_it: Any) -> int:
    return next(number for number, each in enumerate(told) if is_it(each))


def _is_deletion(each: Told) -> bool:
    return "deletionTimestamp" in (each["object"].get("metadata") or {})


@pytest.mark.parametrize("events", [True, False], ids=["events", "no right to events"])
def test_the_refusal_of_a_pod_that_took_a_deleted_ones_place_is_never_the_runs_end(events: bool) -> None:
    """It ran, was refused with 78 and failed the Job while the first was still ending, and stays when that is gone."""
    told = recording("deleted-and-refused")
    deleted = told[_where(told, _is_deletion)]["at"]
    for came in range(len(told) + 1):
        found = [(each, judgement) for each, judgement in play(told, came, events)]
        for each, judgement in found:
            end = judgement.observation.exit or judgement.doomed
            assert end is None or end.reason is Reason.DELETED, (came, each["at"], judgement)
            assert (end is None) or each["at"] >= deleted, (came, each["at"], judgement)
        statuses = [judgement.observation.status for _, judgement in found]
        if "ENDED" in statuses:
            assert set(statuses[statuses.index("ENDED") :]) == {"ENDED"}, (came, statuses)
        if found:
            assert statuses[-1] == "ENDED", (came, found[-1])


def _without_states(told: list[Told], pod: str) -> list[Told]:
    """The same of a pod whose kubelet never came to report that its container ran."""
    found = json.loads(json.dumps(told))
    waiting = {"waiting": {"reason": "ContainerCreating"}}
    for each in found:
        if each["object"]["kind"] == "Pod" and each["object"]["metadata"]["name"].endswith(pod):
            status = each["object"]["status"]
            status["phase"] = "Pending"
            for container in status.get("containerStatuses", ()):
                container["state"] = waiting
    return list(found)


def test_a_pod_that_was_deleted_before_its_status_said_that_it_ran_is_known_by_its_events() -> None:
    told = _without_states(recording("deleted-and-refused"), "-26xvm")
    deleted = _where(told, _is_deletion)
    pod = told[deleted]["object"]["metadata"]
    said = {"kind": "Pod", "uid": pod["uid"], "name": pod["name"], "fieldPath": "spec.containers{penstock-job}"}
    event = {"kind": "Event", "involvedObject": said, "reason": "Started", "lastTimestamp": pod["creationTimestamp"]}
    with_event = [*told[:deleted], {"at": told[deleted]["at"], "type": "ADDED", "object": event}, *told[deleted:]]
    for each, judgement in play(with_event, 0):
        end = judgement.observation.exit or judgement.doomed
        assert end is None or end.reason is Reason.DELETED
        if with_event.index(each) == deleted + 1:
            assert judgement.doomed is not None
    assert judgement.observation.status == "ENDED"
    # and without the event, by the refusal of the pod that came after it
    *_, (_, last) = play(told, 0)
    assert (last.observation.status, last.observation.reason) == ("ENDED", Reason.DELETED)


def test_a_refused_pod_that_was_its_jobs_first_ended_as_it_says() -> None:
    told = recording("deleted-and-refused")
    second = next(
        each for each in told if each["object"]["kind"] == "Pod" and "-l789g" in each["object"]["metadata"]["name"]
    )
    only = [each for each in told if _name(each) in ("run", _name(second)) and "-26xvm" not in str(each)]
    *_, (_, last) = play(only, 0)
    assert last.observation.exit is not None
    assert (last.observation.exit.code, last.observation.reason) == (78, Reason.EXITED)


def _name(each: Told) -> str:
    item = each["object"]
    return str((item.get("metadata") or item.get("involvedObject"))["name"])


def test_a_pod_that_was_preempted_ends_the_run_as_such_though_an_event_alone_says_so() -> None:
    told = recording("preempted")
    deleted, gone = _where(told, _is_deletion), _where(told, lambda each: each["type"] == "DELETED")
    for came in range(gone):
        found = [(each, judgement) for each, judgement in play(told, came)]
        said = _where(told, lambda each: each["object"].get("reason") == "Preempted")
        for each, judgement in found:
            if told.index(each) > max(deleted, said):
                assert judgement.observation.status == "RUNNING"
                assert judgement.doomed is not None, (came, each["at"])
                assert judgement.doomed.reason is Reason.PREEMPTED
                assert "Preempted by n/high-" in (judgement.doomed.message or "")


def test_a_pod_that_its_kubelet_evicted_says_so_and_that_it_ran() -> None:
    told = recording("evicted")
    for came in range(len(told)):
        *_, (_, last) = play(told, came)
        end = last.observation.exit
        assert end is not None
        assert (last.observation.status, end.code, end.reason) == ("ENDED", None, Reason.EVICTED)
        assert "exceeds the total limit of containers 10Mi" in (end.message or "")


def test_a_pod_that_was_evicted_while_it_ran_is_followed_by_no_other() -> None:
    """A kubelet of 1.20 forgets its containers, and a Job with a backoffLimit of its own makes another pod."""
    told = recording("evicted")
    for each in told:
        if each["object"]["kind"] == "Job":
            each["object"]["spec"]["backoffLimit"] = 3
            each["object"]["status"].pop("conditions", None)
    for _, judgement in play(told, 0):
        last = judgement
    assert (last.observation.status, last.doomed and last.doomed.reason) == ("RUNNING", Reason.EVICTED)
