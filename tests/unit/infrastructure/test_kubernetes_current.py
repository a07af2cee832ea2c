"""Answers of current API servers: why a pod went, policies of failure, sidecars, and Jobs that count before they tell."""

from typing import Any

import pytest
from kubernetes_objects import NOW, RUNNING, a_job, a_pod, at, disrupted, look, over, waits

from penstock.infrastructure.kubernetes import objects, reasons
from penstock.infrastructure.kubernetes.verdicts import an_exit, judge_stopped
from penstock.model.reasons import Phase, Reason


def failed(reason: str, message: str, *before: str, **status: Any) -> dict[str, Any]:
    """A Job that has failed, with the conditions that came before."""
    conditions = [
        {"type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": at(-2)}
        for kind in (*before, "Failed")
    ]
    return {**a_job(), "status": {"conditions": conditions, "failed": 1, "startTime": at(-60), **status}}


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("EvictionByEvictionAPI", Reason.EVICTED),
        ("PreemptionByScheduler", Reason.PREEMPTED),
        ("DeletionByTaintManager", Reason.EVICTED),
        ("DeletionByPodGC", Reason.NODE_LOST),
        ("TerminationByKubelet", Reason.EVICTED),
    ],
)
@pytest.mark.parametrize(
    "asked", [None, frozenset(), frozenset({"run-1", "job"})], ids=["no more", "not yet", "in vain"]
)
def test_each_disruption_is_told_while_its_pod_goes_and_when_it_is_over_without_any_event(
    word: str, reason: Reason, asked: frozenset[str] | None
) -> None:
    marked = look(a_job(), a_pod(RUNNING, conditions=disrupted(word)), asked=asked)
    # it may still be called off
    assert (marked.observation.status, marked.doomed) == ("RUNNING", None)
    going = look(a_job(), a_pod(RUNNING, deleted=20, conditions=disrupted(word)), asked=asked)
    assert (going.observation.status, going.doomed and going.doomed.reason) == ("RUNNING", reason)
    rule = "Pod n/run-1 has condition DisruptionTarget matching FailJob rule at index 0"
    for state in (over(143), over(137), over(0, "Completed", ago=3), None):
        pod = a_pod(state, phase="Failed", deleted=-5, conditions=disrupted(word))
        for there in ({"pods": [pod]}, {"gone": [pod]}):
            for job in (failed("PodFailurePolicy", rule, "FailureTarget"), failed("BackoffLimitExceeded", "")):
                seen = look(job, *there.get("pods", []), gone=there.get("gone", []), asked=asked).observation
                assert (seen.status, seen.reason) == ("ENDED", reason)
                assert "the cluster's words" in (seen.message or "")
    seen = look(failed("PodFailurePolicy", rule, "FailureTarget"), asked=asked).observation
    assert (seen.status, seen.reason) == ("ENDED", Reason.EVICTED)  # who saw no pod knows no more than the Job


def test_a_condition_that_does_not_hold_is_no_disruption() -> None:
    conditions = [{"type": "DisruptionTarget", "status": "False", "reason": "PreemptionByScheduler"}]
    seen = look(failed("BackoffLimitExceeded", ""), a_pod(over(3), phase="Failed", conditions=conditions)).observation
    assert seen.reason is Reason.EXITED


@pytest.mark.parametrize(
    ("message", "code", "reason"),
    [
        ("Pod n/run-1 has condition DisruptionTarget matching FailJob rule at index 0", None, Reason.EVICTED),
        ("Container penstock-job for pod n/run-1 failed with exit code 42 matching FailJob rule at index 0", 42, Reason.EXITED),
        ("Container penstock-job for pod n/run-1 failed with exit code 137 matching FailJob rule at index 1", 137, Reason.SIGNALLED),
    ],
)  # fmt: skip
def test_a_policy_of_failure_says_how_a_run_ended_whose_pod_nobody_has_seen(
    message: str, code: int | None, reason: Reason
) -> None:
    seen = look(failed("PodFailurePolicy", message, "FailureTarget")).observation
    assert seen.exit is not None
    assert (seen.exit.code, seen.reason) == (code, reason)
    assert message in (seen.message or "")


def test_a_job_that_is_to_fail_goes_on_until_its_pods_have_ended() -> None:
    job = failed("DeadlineExceeded", "Job was active longer than specified deadline")
    job["status"]["conditions"][0]["type"] = "FailureTarget"
    going = look(job, a_pod(RUNNING, deleted=20))
    assert (going.observation.status, going.doomed) == ("RUNNING", None)
    pod = a_pod(over(143, ago=1), phase="Failed", deleted=0)
    assert look(job, pod).observation.status == "ENDED"
    job["status"]["conditions"].append({"type": "Failed", "status": "True", "reason": "DeadlineExceeded"})
    assert look(job, pod).observation.reason is Reason.RUN_TIMEOUT
    assert look(job).observation.reason is Reason.RUN_TIMEOUT


def test_a_job_whose_criteria_are_met_goes_on_until_its_pods_have_ended() -> None:
    job = a_job(("SuccessCriteriaMet", "CompletionsReached"))
    assert look(job, a_pod(RUNNING, deleted=20)).observation.status == "RUNNING"
    seen = look(job, a_pod(over(0, "Completed"), phase="Succeeded")).observation
    assert (seen.status, seen.exit and seen.exit.code) == ("ENDED", 0)


@pytest.mark.parametrize(
    "status",
    [
        {"uncountedTerminatedPods": {"failed": ["run-1"]}},
        {"uncountedTerminatedPods": {"succeeded": ["run-1"]}},
        {"uncountedTerminatedPods": {}, "failed": 1},
        {"succeeded": 1, "ready": 0, "terminating": 0},
    ],
)
def test_a_job_that_has_counted_its_pod_and_not_told_its_end_waits_for_no_pod(status: dict[str, Any]) -> None:
    found = look({**a_job(), "status": status})
    assert (found.observation.status, found.puzzling) == ("RUNNING", "job")
    empty = {"uncountedTerminatedPods": {}, "active": 0, "ready": 0, "terminating": 0}
    assert look({**a_job(), "status": empty}).observation.status == "PENDING"


def with_sidecar(pod: dict[str, Any], state: dict[str, Any]) -> dict[str, Any]:
    """The pod with an init container that Kubernetes runs beside the others."""
    spec = {**pod["spec"], "initContainers": [{"name": "proxy", "restartPolicy": "Always"}, {"name": "fetch"}]}
    statuses = [{"name": "proxy", "state": state, "image": "proxy:1", "started": True}]
    return {**pod, "spec": spec, "status": {**pod["status"], "initContainerStatuses": statuses}}


def test_a_sidecar_of_kubernetes_own_changes_nothing_of_its_runs_end() -> None:
    assert look(a_job(), with_sidecar(a_pod(RUNNING), {"running": {}})).observation.status == "RUNNING"
    ended = with_sidecar(a_pod(over(3)), {"running": {}})
    found = look(a_job(), ended)
    assert (found.observation.status, found.observation.reason, found.lingers) == ("ENDED", Reason.EXITED, True)
    clean = with_sidecar(a_pod(over(0, "Completed"), phase="Succeeded"), over(143))
    found = look(a_job(("Complete", "")), clean)
    assert (found.observation.exit and found.observation.exit.code, found.lingers) == (0, False)


def test_an_init_container_is_blamed_and_not_the_sidecar_that_went_with_the_pod() -> None:
    pod = with_sidecar(a_pod(waits("PodInitializing"), phase="Failed"), over(143))
    pod["status"]["initContainerStatuses"].append({"name": "fetch", "state": over(2)})
    seen = look(failed("BackoffLimitExceeded", ""), pod).observation
    assert seen.reason is Reason.START_FAILED
    assert "init container fetch exited with code 2" in (seen.message or "")


def test_a_sidecar_that_ran_out_of_memory_is_told_beside_the_end_of_a_run_that_failed_after_it() -> None:
    def with_beside(pod: dict[str, Any], state: dict[str, Any]) -> dict[str, Any]:
        pod["status"]["containerStatuses"][0]["state"] = state
        return pod

    job = failed("BackoffLimitExceeded", "")
    oom = over(137, "OOMKilled", ago=70)
    seen = look(job, with_beside(a_pod(over(3), phase="Failed"), oom)).observation
    assert (seen.reason, seen.exit and seen.exit.oom) == (Reason.EXITED, False)
    assert seen.message == (
        "Container penstock-job exited with code 3. Before it, container beside had exited with code 137 (OOMKilled)."
    )
    for state, mine in (
        (over(143, ago=50), over(3)),
        (over(0, "Completed", ago=70), over(3)),
        (oom, over(0, "Completed")),
    ):
        message = look(job, with_beside(a_pod(mine, phase="Failed"), state)).observation.message or ""
        assert "beside" not in message


def test_what_an_init_container_printed_last_is_told_with_its_end() -> None:
    pod = with_sidecar(a_pod(waits("PodInitializing"), phase="Failed"), over(143))
    for state, words in (
        (
            {**over(2)["terminated"], "message": "no database\n"},
            "init container fetch exited with code 2: no database.",
        ),
        (over(137, "OOMKilled")["terminated"], "init container fetch exited with code 137 (OOMKilled)."),
    ):
        pod["status"]["initContainerStatuses"][1:] = [{"name": "fetch", "state": {"terminated": state}}]
        seen = look(failed("BackoffLimitExceeded", ""), pod).observation
        assert (seen.reason, (seen.message or "").endswith(words)) == (Reason.START_FAILED, True), seen


def test_a_sidecar_that_does_not_come_up_is_what_its_pod_waits_for() -> None:
    crashing = waits("CrashLoopBackOff", "back-off 10s restarting failed container=proxy")
    seen = look(a_job(), with_sidecar(a_pod(waits("PodInitializing"), phase="Pending"), crashing)).observation
    assert (seen.status, seen.phase) == ("PENDING", Phase.START)
    assert "container=proxy" in (seen.message or "")


@pytest.mark.parametrize("label", ["job-name", "batch.kubernetes.io/job-name"])
def test_a_pod_belongs_to_its_job_by_the_old_label_and_by_the_new_one(label: str) -> None:
    pod = a_pod(RUNNING)
    assert objects.job_of({**pod, "metadata": {**pod["metadata"], "labels": {label: "run"}}}) == "run"
    assert objects.job_of(pod) is None


# --- whoever came late


def made_by(job: dict[str, Any], **status: Any) -> dict[str, Any]:
    return {**job, "status": {**job["status"], **status}}


@pytest.mark.parametrize(
    ("events", "began", "reason"),
    [
        ({"SuccessfulCreate": "Created pod: run-1"}, -60, Reason.DELETED),
        ({"SuccessfulCreate": "Created pod: run-2"}, -60, Reason.EXITED),
        ({}, -60, Reason.DELETED),  # no right to events, and none that explains why it came late
        ({"FailedCreate": "exceeded quota"}, -60, Reason.EXITED),
        ({}, -11, Reason.EXITED),
    ],
)
def test_a_refused_pod_is_an_end_of_its_own_only_if_it_was_the_first(
    events: dict[str, str], began: float, reason: Reason
) -> None:
    job = made_by(a_job(("Failed", "BackoffLimitExceeded")), startTime=at(began))
    pod = a_pod(over(78, ago=5), phase="Failed", name="run-2", made=-10)
    seen = look(job, pod, events=events).observation
    assert (seen.status, seen.reason) == ("ENDED", reason)
    assert (seen.exit and seen.exit.code) == (78 if reason is Reason.EXITED else None)


def test_whether_a_refused_pod_was_the_first_is_asked_before_it_is_said() -> None:
    job = a_job(("Failed", "BackoffLimitExceeded"))
    pod = a_pod(over(78), phase="Failed")
    found = look(job, pod, asked=frozenset())
    assert (found.observation.status, found.puzzling) == ("RUNNING", "job")
    assert look(job, pod, asked=frozenset({"job"})).observation.status == "ENDED"


def test_whether_a_pod_ran_that_was_deleted_early_is_asked_until_it_would_have_been_told() -> None:
    lost, fresh = (a_pod(waits("ContainerCreating"), phase="Pending", deleted=-ago) for ago in (11, 1))
    waiting = a_pod(waits("ContainerCreating"), phase="Pending", name="run-2", made=0)
    for evidence in ({"gone": [lost]}, {}):
        pods = [waiting] if evidence else [lost, waiting]
        found = look(a_job(), *pods, asked=frozenset({"run-2"}), **evidence)
        assert (found.observation.status, found.puzzling) == ("PENDING", "run-1")
        asked = frozenset({"run-1", "run-2"})
        assert look(a_job(), *pods, asked=asked, **evidence).puzzling == "run-2"
        again = {"gone": [fresh]} if evidence else {}
        assert look(a_job(), *(pods if evidence else [fresh, waiting]), asked=asked, **again).puzzling == "run-1"
        ran = look(a_job(), *pods, asked=asked, ran=frozenset({"run-1"}), **evidence)
        assert (ran.observation.status, ran.doomed and ran.doomed.reason) == ("RUNNING", Reason.DELETED)


def test_a_pod_that_ran_without_saying_so_is_waited_for_after_the_end_was_written() -> None:
    end = an_exit(None, Reason.DELETED, "it was deleted", NOW)
    job = a_job(annotations={"penstock.io/end": end.model_dump_json()})
    lost = a_pod(waits("ContainerCreating"), phase="Pending", deleted=-1)
    assert look(job, lost, ran=frozenset({"run-1"})).observation.status == "PENDING"


def test_why_a_pod_was_deleted_is_asked_before_it_is_said() -> None:
    job, pod = a_job(("Failed", "BackoffLimitExceeded")), a_pod(over(143), phase="Failed", deleted=-60)
    found = look(job, pod, asked=frozenset({"job"}))
    assert (found.observation.status, found.puzzling) == ("RUNNING", "run-1")
    told = {"Preempted": "Preempted by n/other on node node-1"}
    seen = look(job, pod, asked=frozenset({"run-1"}), events=told).observation
    assert (seen.reason, seen.exit and seen.exit.code) == (Reason.PREEMPTED, 143)


def test_a_pod_that_is_deleted_after_its_end_has_ended_by_itself() -> None:
    pod = a_pod(over(3, ago=60), phase="Failed", deleted=0)
    pod["metadata"]["deletionGracePeriodSeconds"] = 30
    job = a_job(("Failed", "BackoffLimitExceeded"))
    assert look(job, pod).observation.reason is Reason.EXITED
    pod["metadata"]["deletionGracePeriodSeconds"] = 60  # in the second in which it ended
    assert look(job, pod).observation.reason is Reason.DELETED


def test_a_container_that_ends_well_because_its_pod_was_deleted_says_who_ended_it() -> None:
    job, pod = a_job(("Complete", "")), a_pod(over(0, "Completed"), phase="Succeeded", deleted=-60)
    for told, reason in (({}, Reason.DELETED), ({"Preempted": "Preempted by n/other"}, Reason.PREEMPTED)):
        seen = look(job, pod, events=told).observation
        assert (seen.exit and seen.exit.code, seen.reason) == (0, reason)
    stopped = a_job(("Complete", ""), annotations={"penstock.io/stopping": at(-70)})
    assert look(stopped, pod).observation.reason is None


def test_an_eviction_that_was_called_off_is_no_reason() -> None:
    told = {"TaintManagerEviction": "Cancelling deletion of Pod n/run-1"}
    found = look(a_job(), a_pod(RUNNING, deleted=5), events=told)
    assert found.doomed is not None
    assert found.doomed.reason is Reason.DELETED


def test_a_job_with_retries_of_kubernetes_gets_no_second_pod_once_its_first_has_run() -> None:
    found = look(a_job(backoffLimit=3), a_pod(over(3), phase="Failed"))
    assert (found.observation.status, found.doomed and found.doomed.code) == ("RUNNING", 3)
    assert look(a_job(backoffLimit=3), a_pod(over(0, "Completed"))).observation.status == "ENDED"
    told = look(a_job(("Failed", "BackoffLimitExceeded"), backoffLimit=3), a_pod(over(3), phase="Failed"))
    assert told.observation.status == "ENDED"


# --- words that outlive what said them


def test_a_pod_that_a_complete_job_still_has_is_stopped() -> None:
    """It took the place of one that was deleted, and ended well all the same: Kubernetes 1.20 lets the other go on."""
    mine = a_pod(over(0, "Completed"), phase="Succeeded", deleted=-5)
    found = look(a_job(("Complete", "")), mine, a_pod(RUNNING, name="run-2", made=0))
    assert (found.observation.status, found.doomed and found.doomed.code) == ("RUNNING", 0)


def test_what_the_scheduler_said_last_is_kept_in_the_end_of_a_job_that_never_ran() -> None:
    words = "0/3 nodes are available: 1 node(s) had taint {gpu: }, that the pod didn't tolerate, 2 Insufficient cpu."
    conditions = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": words}]
    pod = a_pod(None, phase="Pending", deleted=0, conditions=conditions)
    del pod["status"]["containerStatuses"]
    end = judge_stopped(a_job(annotations={"penstock.io/stopping": at(-1)}), [pod], NOW, half_done=False)
    assert (end.code, end.reason) == (None, Reason.CANCELLED)
    assert words in (end.message or "")
    del pod["metadata"]["deletionTimestamp"]
    found = look(a_job(), pod)
    assert (found.observation.message, found.puzzling) == (words, None)  # no event says more


def test_what_a_registry_said_is_kept_in_the_end_of_a_job_that_never_ran() -> None:
    words = 'rpc error: code = Unknown desc = failed to resolve reference "r.io/flows:1": unexpected status: 500'
    end = judge_stopped(a_job(), [a_pod(waits("ErrImagePull", words), phase="Pending")], NOW, half_done=False)
    assert words in (end.message or "")


def test_the_end_of_a_stopped_job_is_that_of_its_first_pod_whatever_became_of_others() -> None:
    job = a_job(annotations={"penstock.io/stopping": at(-1)})
    mine, other = a_pod(over(0, "Completed")), a_pod(over(78), phase="Failed", name="run-2", made=-1)
    assert judge_stopped(job, [other, mine], NOW, half_done=False).code == 0


def test_the_cause_of_a_failed_pull_is_kept_and_not_the_bare_word_that_comes_with_it() -> None:
    said = [
        {"reason": "Failed", "message": 'Failed to pull image "flows:1": manifest unknown', "lastTimestamp": at(-3)},
        {"reason": "Failed", "message": "Error: ErrImagePull", "lastTimestamp": at(-2)},
        {"reason": "BackOff", "message": 'Back-off pulling image "flows:1"', "lastTimestamp": at(-1)},
        {"reason": "Failed", "message": "Error: ImagePullBackOff", "lastTimestamp": at(-1)},
    ]
    words = reasons.words_of(said)
    assert words["Failed"] == 'Failed to pull image "flows:1": manifest unknown'
    found = look(a_job(), a_pod(waits("ImagePullBackOff", "Back-off"), phase="Pending"), events=words)
    assert found.observation.reason is Reason.IMAGE_NOT_FOUND
    made = [{"reason": "SuccessfulCreate", "message": f"Created pod: {n}", "eventTime": at(n)} for n in (2, 1)]
    assert reasons.words_of(made) == {"SuccessfulCreate": "Created pod: 1"}
    told = [
        {"reason": reason, "involvedObject": {"fieldPath": f"spec.containers{{{name}}}"}}
        for reason, name in (("Started", "a"), ("Pulled", "b"), ("Killing", "c"))
    ]
    assert reasons.words_of(told)[reasons.RAN] == "spec.containers{a} spec.containers{c}"


def test_the_output_is_that_of_the_pod_that_the_run_was_in_however_short_it_ran() -> None:
    short = a_pod(over(0, "Completed"), phase="Succeeded", name="run-1", made=-10)
    waiting = a_pod(waits("ContainerCreating"), phase="Pending", name="run-2", made=0)
    refused = a_pod(over(78), phase="Failed", name="run-3", made=1)
    evicted = a_pod(None, phase="Failed", reason="Evicted", name="run-4", made=2)
    del evicted["status"]["containerStatuses"]
    for pods, mine in (
        ([short], short),
        ([refused, waiting, short], short),
        ([evicted], evicted),
        ([waiting, evicted], evicted),
        ([waiting], None),
    ):
        assert objects.with_log(pods, "penstock-job") is mine
