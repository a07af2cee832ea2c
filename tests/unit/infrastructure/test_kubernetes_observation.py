"""What is made of what a cluster says of a Job: the answers of old and new Kubernetes, and of many in between."""

from typing import Any

import pytest
from kubernetes_objects import NOW, RUNNING, a_job, a_pod, at, disrupted, look, over, waits

from penstock.infrastructure.kubernetes import reasons
from penstock.infrastructure.kubernetes.observation import evidence_of, judge
from penstock.infrastructure.kubernetes.verdicts import an_exit
from penstock.model.reasons import Phase, Reason


@pytest.mark.parametrize(
    ("pod", "code", "reason"),
    [
        (a_pod(over(0, "Completed"), phase="Succeeded"), 0, None),
        (a_pod(over(3), phase="Failed"), 3, Reason.EXITED),
        (a_pod(over(139), phase="Failed"), 139, Reason.SIGNALLED),
        (a_pod(over(137, "OOMKilled"), phase="Failed"), 137, Reason.OUT_OF_MEMORY),
        (a_pod(over(0, "Completed")), 0, None),  # whatever its sidecar does
        (a_pod(over(137), phase="Failed", conditions=disrupted("EvictionByEvictionAPI")), 137, Reason.EVICTED),
        (a_pod(over(143), phase="Failed", conditions=disrupted("PreemptionByScheduler")), 143, Reason.PREEMPTED),
        (a_pod(over(137), phase="Failed", conditions=disrupted("DeletionByPodGC")), 137, Reason.NODE_LOST),
        (a_pod(over(137), phase="Failed", conditions=disrupted("SomethingNew")), 137, Reason.EVICTED),
        (a_pod(None, phase="Failed", reason="Evicted", message="low on ephemeral-storage"), None, Reason.EVICTED),
        (a_pod(None, phase="Failed", reason="DeadlineExceeded", message="too long"), None, Reason.RUN_TIMEOUT),
        (a_pod(over(143), phase="Failed", reason="Terminated", message="node shutdown"), 143, Reason.EVICTED),
        (a_pod(over(137), phase="Failed", deleted=-60), 137, Reason.DELETED),
        (a_pod(over(128, "StartError"), phase="Failed"), 128, Reason.START_FAILED),
    ],
)
def test_a_pod_that_is_over_says_how(pod: dict[str, Any], code: int | None, reason: Reason | None) -> None:
    found = look(a_job(("Failed", "BackoffLimitExceeded")), pod)
    seen = found.observation
    assert seen.status == "ENDED"
    assert seen.exit is not None
    assert (seen.exit.code, seen.reason, seen.exit.oom) == (code, reason, reason is Reason.OUT_OF_MEMORY)
    assert seen.message
    assert found.lingers is (pod["status"]["phase"] == "Running")


@pytest.mark.parametrize(
    ("job", "code", "reason"),
    [
        (a_job(("Complete", "CompletionsReached")), 0, None),
        (a_job(("SuccessCriteriaMet", ""), ("Complete", "")), 0, None),
        (a_job(("Failed", "BackoffLimitExceeded")), None, Reason.DELETED),
        (a_job(("FailureTarget", "DeadlineExceeded"), ("Failed", "DeadlineExceeded")), None, Reason.RUN_TIMEOUT),
    ],
)
def test_a_job_without_its_pod_says_what_is_left_to_say(
    job: dict[str, Any], code: int | None, reason: Reason | None
) -> None:
    seen = look(job).observation
    assert seen.status == "ENDED"
    assert seen.exit is not None
    assert (seen.exit.code, seen.reason) == (code, reason)


def test_the_pod_that_was_seen_before_it_went_says_more_than_its_job() -> None:
    gone = a_pod(over(137), conditions=disrupted("EvictionByEvictionAPI"), deleted=-5)
    assert look(a_job(("Failed", "BackoffLimitExceeded")), gone=[gone]).observation.reason is Reason.EVICTED


def test_a_kill_without_a_reason_is_not_told_before_the_reason_may_have_come() -> None:
    fresh = look(a_job(), a_pod(over(137, ago=1), phase="Failed"))
    assert (fresh.observation.status, fresh.puzzling) == ("RUNNING", "run-1")
    settled = look(a_job(), a_pod(over(137, ago=11), phase="Failed"))
    assert (settled.observation.status, settled.observation.reason) == ("ENDED", Reason.SIGNALLED)
    assert look(a_job(), a_pod(over(1, ago=1), phase="Failed")).observation.status == "ENDED"


LIVENESS = "Liveness probe failed: no pulse"
STOPPING = "Stopping container penstock-job"


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ({"Killing": STOPPING, "Unhealthy": LIVENESS}, LIVENESS),
        ({"Killing": "Container penstock-job failed startup probe", "Unhealthy": "Startup probe failed: "}, "Startup"),
        ({"Killing": "FailedPostStartHook", "FailedPostStartHook": "no-such-hook"}, "postStart hook failed: no-such"),
        ({"Killing": STOPPING, "Unhealthy": "Readiness probe failed: "}, None),
        ({"Killing": "Stopping container beside", "Unhealthy": LIVENESS}, None),
        ({"Unhealthy": LIVENESS}, None),  # whoever killed it: the node did not
        ({"Killing": STOPPING}, None),
    ],
)
def test_a_kill_by_the_node_for_a_probe_or_a_hook_is_told_with_its_words(
    events: dict[str, str], said: str | None
) -> None:
    seen = look(a_job(("Failed", "BackoffLimitExceeded")), a_pod(over(137), phase="Failed"), events=events).observation
    assert (seen.status, seen.reason) == ("ENDED", Reason.SIGNALLED)
    assert ("Kubernetes ended it" in (seen.message or "")) is (said is not None)
    assert (said or "") in (seen.message or "")


def test_a_kill_is_asked_about_though_its_job_is_over() -> None:
    job, killed = a_job(("Failed", "BackoffLimitExceeded")), a_pod(over(137, ago=9), phase="Failed")
    asks = look(job, killed, asked=frozenset())
    assert (asks.observation.status, asks.puzzling) == ("RUNNING", "run-1")
    assert look(job, killed, asked=frozenset({"run-1"})).observation.status == "ENDED"
    fresh = look(job, a_pod(over(137, ago=1), phase="Failed"), asked=frozenset({"run-1"}))
    assert (fresh.observation.status, fresh.puzzling) == ("RUNNING", "run-1")  # events come a moment later


@pytest.mark.parametrize(
    ("state", "phase", "reason", "hopeless"),
    [
        (waits("ContainerCreating"), Phase.START, None, False),
        (waits("ErrImagePull", "manifest for team/flows:1 not found"), Phase.IMAGE, Reason.IMAGE_NOT_FOUND, True),
        (waits("ErrImagePull", "pull access denied"), Phase.IMAGE, Reason.IMAGE_NOT_PERMITTED, True),
        (waits("ErrImagePull", "dial tcp: i/o timeout"), Phase.IMAGE, Reason.IMAGE_PULL_FAILED, False),
        (waits("ErrImagePull", "toomanyrequests: not found"), Phase.IMAGE, Reason.IMAGE_PULL_FAILED, False),
        (waits("ImagePullBackOff", "Back-off pulling image"), Phase.IMAGE, Reason.IMAGE_PULL_FAILED, False),
        (waits("ErrImageNeverPull"), Phase.IMAGE, Reason.IMAGE_NOT_FOUND, True),
        (waits("InvalidImageName"), Phase.IMAGE, Reason.CONFIGURATION_INVALID, True),
        (waits("CreateContainerConfigError", 'secret "x" not found'), Phase.START, Reason.CONFIGURATION_INVALID, True),
        (waits("CreateContainerError", "no command specified"), Phase.START, Reason.COMMAND_NOT_FOUND, True),
        (waits("CreateContainerError", "context deadline exceeded"), Phase.START, Reason.START_FAILED, False),
    ],
)
def test_what_a_container_waits_for_is_told_and_what_it_will_not_get(
    state: dict[str, Any], phase: Phase, reason: Reason | None, hopeless: bool
) -> None:
    found = look(a_job(), a_pod(state, phase="Pending"))
    seen = found.observation
    assert (seen.status, seen.phase, seen.reason) == ("PENDING", phase, reason)
    assert seen.waiting_for
    assert (found.doomed is not None) is hopeless


def test_a_back_off_has_its_cause_in_the_events() -> None:
    events = {"Failed": 'Failed to pull image "team/flows:1": rpc error: code = NotFound'}
    found = look(a_job(), a_pod(waits("ImagePullBackOff", "Back-off"), phase="Pending"), events=events)
    assert found.observation.reason is Reason.IMAGE_NOT_FOUND
    assert found.doomed is not None
    assert "NotFound" in (found.doomed.message or "")


def test_a_pull_that_fails_again_and_again_is_told_in_the_same_words() -> None:
    words = 'failed to do request: Head "https://r.io/v2/": no such host'
    event = f'Failed to pull image "r.io/flows:1": {words}'
    tries = [("ErrImagePull", words, ""), ("ErrImagePull", words, event), ("ImagePullBackOff", "Back-off", event)]
    assert {reasons.of_waiting(reason, said, "r.io/flows:1", told).message for reason, said, told in tries} == {words}


def test_what_a_status_and_an_event_say_of_a_pull_is_told_where_they_differ() -> None:
    wait = reasons.of_waiting("ErrImagePull", "pull QPS exceeded", "flows:1", 'Failed to pull image "flows:1": denied')
    assert wait.message == "pull QPS exceeded denied"


def test_an_image_is_not_judged_by_its_own_name() -> None:
    wait = reasons.of_waiting("ErrImagePull", 'pulling "r.io/denied/404:1": i/o timeout', "r.io/denied/404:1", "")
    assert (wait.reason, wait.hopeless) == (Reason.IMAGE_PULL_FAILED, False)


def test_a_pod_that_was_followed_by_another_ends_the_run_and_the_other_is_not_wanted() -> None:
    lost = a_pod(RUNNING, deleted=-1)
    for evidence in ({"gone": [lost]}, {}):
        pods = [a_pod(waits("ContainerCreating"), phase="Pending", name="run-2", made=0)]
        found = look(a_job(), *(pods if evidence else [lost, *pods]), **evidence)
        assert found.observation.status == "RUNNING"
        assert found.doomed is not None
        assert found.doomed.reason is Reason.DELETED


def test_a_pod_that_never_ran_may_be_followed_by_another() -> None:
    lost = a_pod(waits("ContainerCreating"), phase="Pending", deleted=-1)
    found = look(a_job(), a_pod(RUNNING, name="run-2", made=0), gone=[lost])
    assert (found.observation.status, found.doomed) == ("RUNNING", None)


@pytest.mark.parametrize(
    ("job", "events", "reason"),
    [
        (a_job(), {"Preempted": "by a more important pod"}, Reason.PREEMPTED),
        (a_job(), {"TaintManagerEviction": "Marking for deletion"}, Reason.EVICTED),
        (a_job(annotations={"penstock.io/stopping": at(-1)}), {}, None),
        (a_job(("FailureTarget", "DeadlineExceeded")), {}, None),
    ],
)
def test_a_pod_that_is_deleted_under_its_run_says_why_unless_that_is_wanted(
    job: dict[str, Any], events: dict[str, str], reason: Reason | None
) -> None:
    found = look(job, a_pod(RUNNING, deleted=5), events=events)
    assert found.observation.status == "RUNNING"
    assert (found.doomed.reason if found.doomed else None) is reason


def test_a_node_that_does_not_answer_is_no_verdict() -> None:
    stopping = a_job(annotations={"penstock.io/stopping": at(-300)})
    for pod in (a_pod(RUNNING, deleted=-120), a_pod(RUNNING, reason="NodeLost")):
        seen = look(stopping, pod).observation
        assert (seen.status, seen.reason) == ("UNKNOWN", Reason.NODE_LOST)


def written(code: int | None, **more: Any) -> dict[str, Any]:
    """A Job that carries its end."""
    end = an_exit(code, Reason.DELETED, "as it was", NOW)
    return a_job(annotations={"penstock.io/end": end.model_dump_json(), **more})


def test_a_verdict_that_is_written_down_holds_once_nothing_may_run_any_more() -> None:
    assert look(written(None), a_pod(RUNNING)).observation.status == "RUNNING"
    assert look(written(None), a_pod(waits("ContainerCreating"), deleted=1)).observation.status == "PENDING"
    seen = look(written(None)).observation
    assert (seen.status, seen.message) == ("ENDED", "as it was")
    assert look(a_job(("Complete", ""), annotations={"penstock.io/end": "no JSON"})).observation.status == "ENDED"


@pytest.mark.parametrize("state", [None, waits("ContainerCreating"), RUNNING])
def test_no_pod_that_comes_later_brings_a_run_back_whose_containers_end_was_seen(state: dict[str, Any] | None) -> None:
    mine = a_pod(over(143), phase="Failed", deleted=-1)
    later = a_pod(state, phase="Pending", name="run-2", made=0)
    for pods in ([mine], [mine, later], [later], []):
        seen = look(written(143), *pods).observation
        assert (seen.status, seen.exit and seen.exit.code) == ("ENDED", 143)


def test_a_pod_that_was_taken_away_before_it_started_does_not_keep_a_run_that_was_in_another() -> None:
    going = a_pod(waits("ContainerCreating"), phase="Pending", name="run-2", made=0, deleted=1)
    assert look(written(None), going).observation.status == "PENDING"  # the run may be in it
    lost = a_pod(RUNNING, deleted=-1)
    assert look(written(None), going, gone=[lost]).observation.status == "ENDED"


def test_a_job_that_may_not_have_heard_of_its_stop_has_not_ended() -> None:
    active = {"active": 1}
    for ago, status in ((1, "RUNNING"), (11, "ENDED")):
        job = written(None, **{"penstock.io/stopping": at(-ago)})
        assert look({**job, "status": active}).observation.status == status
        assert look(job).observation.status == "ENDED"


def test_a_stop_that_was_left_half_done_is_over_after_a_while() -> None:
    assert look(a_job(annotations={"penstock.io/stopping": at(-2)})).observation.status == "RUNNING"
    seen = look(a_job(annotations={"penstock.io/stopping": at(-60)})).observation
    assert (seen.status, seen.reason) == ("ENDED", Reason.UNKNOWN)


def test_a_job_without_a_pod_says_what_it_waits_for() -> None:
    assert look(a_job()).observation.waiting_for == "its pod to be made"
    assert "suspended" in (look(a_job(suspend=True)).observation.waiting_for or "")
    quota = {"FailedCreate": 'pods "x" is forbidden: exceeded quota: small'}
    assert look(a_job(), events=quota).observation.reason is Reason.NO_CAPACITY
    account = {"FailedCreate": 'error looking up service account n/x: serviceaccount "x" not found'}
    assert look(a_job(), events=account).observation.reason is Reason.NOT_PERMITTED


def test_a_pod_that_an_earlier_job_of_the_name_has_left_is_no_evidence() -> None:
    def owned(pod: dict[str, Any], uid: str) -> dict[str, Any]:
        pod["metadata"]["ownerReferences"] = [{"kind": "Job", "name": "run", "uid": uid, "controller": True}]
        return pod

    left = owned(a_pod({"running": {}}, name="run-0", deleted=-5), "an earlier one")
    gone = owned(a_pod({"running": {}}, name="run-00", deleted=-5), "an earlier one")
    mine = owned(a_pod(over(0, "Completed"), phase="Succeeded"), "job")
    found = judge(evidence_of(a_job(), [left, mine], [gone], {}), NOW).observation
    assert found.exit is not None
    assert (found.status, found.exit.code) == ("ENDED", 0)


@pytest.mark.parametrize(
    "words",
    [
        "failed quota: said: must specify limits.cpu,limits.memory",
        "maximum memory usage per Container is 64Mi, but limit is 128Mi",
        "minimum cpu usage per Pod is 1, but request is 100m",
        "memory max limit to request ratio per Container is 1, but provided ratio is 2.000000",
        "no PriorityClass with name nobody-made-this was found",
        'pod rejected: RuntimeClass "nobody-made-this" not found',
    ],
)
def test_a_pod_that_only_another_block_lets_in_is_not_waited_for(words: str) -> None:
    found = look(a_job(), events={"FailedCreate": f'pods "x" is forbidden: {words}'})
    assert (found.observation.status, found.observation.reason) == ("PENDING", Reason.CONFIGURATION_INVALID)
    assert found.doomed is not None
    assert words in (found.doomed.message or "")
