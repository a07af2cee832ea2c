"""What becomes of jobs on a real cluster that do not simply end: each with its reason, and nothing started twice."""

import asyncio
import json
from typing import Any

import pytest
from kubernetes_cluster import BUSYBOX, Cluster

from penstock.errors import JobRejected, StillPreparing
from penstock.infrastructure.base import Handle, Job
from penstock.infrastructure.kubernetes import driver as driver_module
from penstock.infrastructure.kubernetes.driver import KubernetesDriver
from penstock.infrastructure.kubernetes.verdicts import end_of
from penstock.model.attempts import Observation
from penstock.model.reasons import Phase, Reason
from penstock.testing.driver_contract import POLITE

from .kubernetes_jobs import a_job, ask, comes_true, request, until


def _ended(seen: Observation) -> bool:
    return seen.status == "ENDED"


def _is_settled(seen: Observation) -> bool:
    return _ended(seen) or (seen.message or "").startswith("It is being stopped: ")


def _patch(path: str, value: Any) -> list[dict[str, Any]]:
    return [{"op": "add", "path": f"/spec/template/spec/{path}", "value": value}]


def _beside(script: str, **fields: Any) -> list[dict[str, Any]]:
    """A container beside the run's, which share their processes and a folder."""
    mount = {"name": "shared", "mountPath": "/shared"}
    beside = {"name": "beside", "image": BUSYBOX, "command": ["sh", "-c", script], "volumeMounts": [mount], **fields}
    mine = {"name": "penstock-job", "volumeMounts": [mount]}
    volumes = [{"name": "shared", "emptyDir": {}}]
    pod = {"shareProcessNamespace": True, "volumes": volumes, "containers": [mine, beside]}
    return [{"spec": {"template": {"spec": pod}}}]


def _states(pod: Any) -> list[Any]:
    return [status["state"] for status in pod["status"].get("containerStatuses", ())]


async def _until_nothing_runs(
    cluster: Cluster,
    namespace: str,
    driver: KubernetesDriver,
    handle: Handle,
    end: Observation,
    *,
    observed: bool = True,
) -> None:
    """Wait for the job's pods to end. Its end stays what it is, whatever this Kubernetes puts in the place of a pod.

    `observed`: whether somebody asks for it meanwhile.
    """
    selected = ("pods", "-n", namespace, "-l", f"job-name={handle.data['name']}")

    async def nothing_runs() -> bool:
        pods = (await asyncio.to_thread(cluster.get, *selected))["items"]
        if observed:
            seen = (await driver.observe([handle]))[0]
            assert (seen.status, seen.exit and seen.exit.code) == ("ENDED", end.exit and end.exit.code), seen
        return not any("running" in state for pod in pods for state in _states(pod))

    await comes_true(nothing_runs, "its pods end")


_CONTAINER = {"name": "tried", "image": BUSYBOX, "resources": {"limits": {"memory": "128Mi"}}}
_POD_SPEC = {"restartPolicy": "Never", "containers": [_CONTAINER]}
#: What a new one of a kind looks like.
_TRIED: dict[str, dict[str, Any]] = {
    "pods": {"apiVersion": "v1", "kind": "Pod", "spec": _POD_SPEC},
    "count/jobs.batch": {"apiVersion": "batch/v1", "kind": "Job", "spec": {"template": {"spec": _POD_SPEC}}},
    "count/secrets": {"apiVersion": "v1", "kind": "Secret"},
}


async def _are_refused(cluster: Cluster, namespace: str, kind: str, words: str) -> None:
    """Return when new ones are: the API server hears of a rule a moment after it was made."""
    tried = json.dumps({**_TRIED[kind], "metadata": {"name": "tried"}})

    async def is_refused() -> bool:
        try:
            cluster.kubectl("-n", namespace, "create", "--dry-run=server", "-f", "-", stdin=tried)
        except RuntimeError as error:
            return words in str(error)
        return False

    await comes_true(is_refused, f"{kind} are refused")


async def _no_room(cluster: Cluster, namespace: str, kind: str) -> None:
    """A quota that holds."""
    cluster.kubectl("-n", namespace, "create", "quota", "none", f"--hard={kind}=0")
    await _are_refused(cluster, namespace, kind, "exceeded quota: none")


async def _started(driver: KubernetesDriver, wanted: Any) -> Handle:
    """Ask until the API server has heard that there is room."""

    async def started() -> Handle | None:
        try:
            return await driver.start(wanted)
        except StillPreparing:
            return None

    return await comes_true(started, "there is room")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is hopeless, or lingers, is stopped soon."""
    monkeypatch.setattr(driver_module, "HOPELESS_SECONDS", 0.5)
    monkeypatch.setattr(driver_module, "LINGER_SECONDS", 0.5)
    monkeypatch.setattr(driver_module, "POLITE_SECONDS", 1.0)


#: A shell outlives what it runs by a moment: of a container that ends at once, containerd tells a busy kubelet now and
#: then that it was killed before it tells that this was for memory, and the kubelet does not ask again.
_GREEDY = "tail /dev/zero; code=$?; sleep 2; exit $code"

ENDS: dict[str, tuple[tuple[str, ...], dict[str, Any], Reason, str]] = {
    "more memory than its limit": (
        ("sh", "-c", _GREEDY),
        {"resources": {"limits": {"memory": "32Mi"}}},
        Reason.OUT_OF_MEMORY,
        "32Mi",
    ),
    "no such command": (("no-such-command",), {}, Reason.COMMAND_NOT_FOUND, "no-such-command"),
    "the image is not there and not to be fetched": (
        ("true",),
        {"image": "penstock-test/not-there:1", "image_pull_policy": "Never"},
        Reason.IMAGE_NOT_FOUND,
        "not-there",
    ),
    "a name that no image can have": (
        ("true",),
        # what a reference stands for is not judged before
        {"customizations": _patch("containers/0/image", "${env:Not An Image}")},
        Reason.CONFIGURATION_INVALID,
        "Not An Image",
    ),
    "a ConfigMap that is not there": (
        ("true",),
        {"customizations": _patch("containers/0/envFrom", [{"configMapRef": {"name": "not-there"}}])},
        Reason.CONFIGURATION_INVALID,
        "not-there",
    ),
    "an init container that fails": (
        ("true",),
        {
            "customizations": _patch(
                "initContainers",
                [
                    {
                        "name": "before",
                        "image": "penstock-test/busybox:1",
                        "command": ["sh", "-c", "echo no database; exit 5"],
                    }
                ],
            )
        },
        Reason.START_FAILED,
        "init container before exited with code 5: no database",
    ),
    "a container beside that used more memory than its limit, and was needed": (
        (
            "sh",
            "-c",
            # times are told by the second: what ended first has to end a second before
            "until [ -s /shared/pid ]; do sleep 0.1; done; "
            "while [ -e /proc/$(cat /shared/pid) ]; do sleep 0.1; done; sleep 1.1; exit 3",
        ),
        {
            "customizations": _beside(
                # $$, as Kubernetes lets a shell see it
                f"echo $$$$ > /shared/pid; {_GREEDY}",
                resources={"limits": {"memory": "32Mi"}},
            )
        },
        Reason.EXITED,
        "container beside had exited with code 137 (OOMKilled)",
    ),
    "a liveness probe that fails": (
        ("sleep", "600"),
        {
            "customizations": [
                *_patch(
                    "containers/0/livenessProbe",
                    {
                        "exec": {"command": ["sh", "-c", "echo no pulse; exit 1"]},
                        "periodSeconds": 1,
                        "failureThreshold": 1,
                    },
                ),
                *_patch("terminationGracePeriodSeconds", 1),
            ]
        },
        Reason.SIGNALLED,
        "Liveness probe failed: no pulse",
    ),
    "a hook after its start that fails": (
        ("sleep", "600"),
        {
            "customizations": [
                *_patch("containers/0/lifecycle", {"postStart": {"exec": {"command": ["no-such-hook"]}}}),
                *_patch("terminationGracePeriodSeconds", 1),
            ]
        },
        Reason.SIGNALLED,
        "no-such-hook",
    ),
}


def test_each_end_has_its_reason_and_kubernetes_words(cluster: Cluster, namespace: str, impatient: None) -> None:
    async def question(driver: KubernetesDriver) -> None:
        started = {}
        for what, (command, settings, _, _) in ENDS.items():
            started[what] = await driver.start(request(namespace, a_job(*command), **settings))
        for what, handle in started.items():
            _, _, reason, words = ENDS[what]
            seen = await until(driver, handle, _is_settled)
            # a pod that never started is stopped first, for which this kubelet takes its time: its verdict is known
            told = seen.exit or end_of(cluster.get("job", handle.data["name"], "-n", namespace))
            assert told is not None, what
            assert told.reason is reason, (what, seen)
            assert words in (told.message or ""), (what, seen)
            assert told.oom is (reason is Reason.OUT_OF_MEMORY), what
            assert told.code != 0, what

    ask(cluster.kubeconfig, namespace, question)


def test_kubernetes_own_deadline_is_the_run_limit(cluster: Cluster, namespace: str) -> None:
    async def question(driver: KubernetesDriver) -> None:
        longest = [{"op": "add", "path": "/spec/activeDeadlineSeconds", "value": 3600}]
        handle = await driver.start(request(namespace, a_job(*POLITE), grace_seconds=1, customizations=longest))
        await until(driver, handle, "RUNNING")
        # this Kubernetes looks at a deadline once, and loses pods whose containers it begins at that moment
        soon = '{"spec": {"activeDeadlineSeconds": 1}}'
        cluster.kubectl("-n", namespace, "patch", "job", handle.data["name"], "--patch", soon)
        seen = await until(driver, handle, _ended)
        assert seen.exit is not None
        assert seen.exit.reason is Reason.RUN_TIMEOUT, seen
        assert "deadline" in (seen.exit.message or "")

    ask(cluster.kubeconfig, namespace, question)


def test_a_pod_without_room_waits_and_says_what_the_scheduler_says(cluster: Cluster, namespace: str) -> None:
    async def question(driver: KubernetesDriver) -> None:
        job = request(namespace, a_job(*POLITE), resources={"requests": {"cpu": "1000"}})
        handle = await driver.start(job)
        seen = await until(driver, handle, lambda seen: "Insufficient cpu" in (seen.message or ""))
        assert (seen.status, seen.phase, seen.waiting_for) == ("PENDING", Phase.SCHEDULE, "room on a node")
        assert seen.reason is not None
        await driver.stop(handle, 0)
        seen = (await driver.observe([handle]))[0]
        assert (seen.status, seen.exit and seen.exit.code) == ("ENDED", None)

    ask(cluster.kubeconfig, namespace, question)


def test_a_full_quota_is_waited_for_and_said(cluster: Cluster, namespace: str) -> None:
    async def question(driver: KubernetesDriver) -> None:
        await _no_room(cluster, namespace, "pods")
        handle = await driver.start(request(namespace, a_job(*POLITE)))
        seen = await until(driver, handle, lambda seen: seen.reason is not None)
        assert (seen.status, seen.reason) == ("PENDING", Reason.NO_CAPACITY)
        assert "exceeded quota: none" in (seen.message or "")
        assert seen.waiting_for == "room in the namespace's quota"

    ask(cluster.kubeconfig, namespace, question)


def test_a_pod_that_no_rule_of_the_namespace_lets_in_ends_its_job_long_before_the_start_limit(
    cluster: Cluster, namespace: str, impatient: None
) -> None:
    limits = {"limits": [{"type": "Container", "max": {"memory": "64Mi"}}]}
    rule = {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "small"}, "spec": limits}
    cluster.kubectl("create", "-n", namespace, "-f", "-", stdin=json.dumps(rule))

    async def question(driver: KubernetesDriver) -> None:
        await _are_refused(cluster, namespace, "pods", "maximum memory usage")
        resources = {"limits": {"memory": "128Mi"}}
        greedy = await driver.start(request(namespace, a_job("true"), resources=resources))
        unknown = await driver.start(request(namespace, a_job("true"), priority_class_name="nobody-made-this"))
        for handle, words in ((greedy, "maximum memory usage"), (unknown, "no PriorityClass with name")):
            seen = await until(driver, handle, _ended)
            assert seen.exit is not None
            assert (seen.exit.code, seen.exit.reason) == (None, Reason.CONFIGURATION_INVALID)
            assert words in (seen.exit.message or "")

    ask(cluster.kubeconfig, namespace, question)


@pytest.mark.parametrize("kind", ["count/jobs.batch", "count/secrets"])
def test_a_full_quota_of_jobs_or_secrets_is_waited_for_and_leaves_nothing(
    cluster: Cluster, namespace: str, kind: str
) -> None:
    async def question(driver: KubernetesDriver) -> None:
        await _no_room(cluster, namespace, kind)
        wanted = request(namespace, a_job("true"))
        with pytest.raises(StillPreparing, match=r"room in the namespace's quota .*exceeded quota: none") as waiting:
            await driver.start(wanted)
        assert waiting.value.phase == Phase.SCHEDULE
        assert cluster.get("jobs", "-n", namespace)["items"] == []
        cluster.kubectl("-n", namespace, "delete", "quota", "none")
        handle = await _started(driver, wanted)
        seen = await until(driver, handle, _ended)
        assert seen.exit is not None
        assert seen.exit.code == 0

    ask(cluster.kubeconfig, namespace, question)


def test_a_registry_that_does_not_answer_is_waited_for(cluster: Cluster, namespace: str, impatient: None) -> None:
    async def question(driver: KubernetesDriver) -> None:
        handle = await driver.start(request(namespace, a_job("true"), image="127.0.0.1:9/team/flows:1"))
        seen = await until(driver, handle, lambda seen: "connection refused" in (seen.message or ""))
        assert (seen.status, seen.phase, seen.reason) == ("PENDING", Phase.IMAGE, Reason.IMAGE_PULL_FAILED)
        assert seen.waiting_for == "image 127.0.0.1:9/team/flows:1"
        for _ in range(10):  # longer than what is hopeless is left alone
            await driver.wait_for_news(0.2)
            assert (await driver.observe([handle]))[0].status == "PENDING"

    ask(cluster.kubeconfig, namespace, question)


def test_a_pod_that_is_deleted_under_its_job_ends_the_run_and_no_other_takes_its_place(
    cluster: Cluster, namespace: str
) -> None:
    async def question(driver: KubernetesDriver) -> None:
        handle = await driver.start(request(namespace, a_job(*POLITE)))
        await until(driver, handle, lambda seen: seen.status == "RUNNING")
        cluster.kubectl("-n", namespace, "delete", "pod", "-l", f"job-name={handle.data['name']}", "--wait=false")
        seen = await until(driver, handle, _ended)
        assert seen.exit is not None
        assert seen.reason is Reason.DELETED
        await _until_nothing_runs(cluster, namespace, driver, handle, seen)
        other = KubernetesDriver({"KUBECONFIG": str(cluster.kubeconfig)}, namespace)
        try:
            told = (await until(other, handle, _ended)).exit  # who was not there knows it as well
            assert told is not None
            assert (told.code, told.reason) == (seen.exit.code, seen.exit.reason)
        finally:
            await other.close()

    ask(cluster.kubeconfig, namespace, question)


def test_a_job_that_is_deleted_is_missing_once_its_pod_has_ended(cluster: Cluster, namespace: str) -> None:
    async def question(driver: KubernetesDriver) -> None:
        handle = await driver.start(request(namespace, a_job(*POLITE)))
        await until(driver, handle, lambda seen: seen.status == "RUNNING")
        cluster.kubectl("-n", namespace, "delete", "job", handle.data["name"], "--cascade=orphan")
        seen = (await driver.observe([handle]))[0]
        assert seen.status == "RUNNING", seen  # the pod goes on without its Job
        await driver.stop(handle, 5)
        assert (await driver.observe([handle]))[0].status == "MISSING"

    ask(cluster.kubeconfig, namespace, question)


def test_the_run_ends_with_its_own_container_and_sidecars_are_stopped_though_nobody_asks_for_it_any_more(
    cluster: Cluster, namespace: str, impatient: None
) -> None:
    async def question(driver: KubernetesDriver) -> None:
        mine = ("sh", "-c", "echo mine; exit 3")
        handle = await driver.start(request(namespace, a_job(*mine), customizations=_beside("sleep 600")))
        seen = await until(driver, handle, _ended)
        assert seen.exit is not None
        assert (seen.exit.code, seen.reason) == (3, Reason.EXITED)
        assert (await driver.output(handle)).text == "mine\n"
        await _until_nothing_runs(cluster, namespace, driver, handle, seen, observed=False)
        assert (await driver.observe([handle]))[0].exit == seen.exit

    ask(cluster.kubeconfig, namespace, question)


def test_a_sidecar_is_stopped_whose_agent_went_before_it_did(
    cluster: Cluster, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = a_job("sh", "-c", "exit 3")
    started: list[tuple[Handle, Observation]] = []

    async def before(driver: KubernetesDriver) -> None:
        handle = await driver.start(request(namespace, job, customizations=_beside("sleep 600")))
        started.append((handle, await until(driver, handle, _ended)))

    async def after(driver: KubernetesDriver) -> None:
        ((handle, seen),) = started
        await driver.find_job(handle.data["name"])
        assert [found.ended for found in await driver.find(job.owner)] == [True]  # as a sweep does
        await _until_nothing_runs(cluster, namespace, driver, handle, seen, observed=False)

    ask(cluster.kubeconfig, namespace, before)
    monkeypatch.setattr(driver_module, "LINGER_SECONDS", 0.5)
    monkeypatch.setattr(driver_module, "POLITE_SECONDS", 1.0)
    ask(cluster.kubeconfig, namespace, after)


def test_a_sidecar_that_crashed_changes_nothing_of_a_run_that_ends_well(cluster: Cluster, namespace: str) -> None:
    async def question(driver: KubernetesDriver) -> None:
        mine = ("sh", "-c", "until [ -e /shared/up ]; do sleep 0.1; done; sleep 1.1")
        handle = await driver.start(
            request(namespace, a_job(*mine), customizations=_beside("touch /shared/up; exit 9"))
        )
        seen = await until(driver, handle, _ended)
        assert seen.exit is not None
        assert (seen.exit.code, seen.reason) == (0, None)
        await driver.remove(handle)
        assert (await driver.observe([handle]))[0].status == "MISSING"

    ask(cluster.kubeconfig, namespace, question)


def test_what_a_stopped_job_printed_last_can_be_read_after_its_pod_is_gone(cluster: Cluster, namespace: str) -> None:
    async def question(driver: KubernetesDriver) -> None:
        command = "trap 'echo the end; exit 7' TERM; echo ready; while :; do sleep 0.05; done"
        handle = await driver.start(request(namespace, a_job("sh", "-c", command), grace_seconds=60))
        await until(driver, handle, lambda seen: seen.status == "RUNNING")
        while not (first := await driver.output(handle)).text:
            await driver.wait_for_news(0.1)
        await driver.stop(handle, 60)
        assert (await driver.output(handle)).text == "ready\nthe end\n"
        assert (await driver.output(handle, first.offset)).text == "the end\n"
        seen = (await driver.observe([handle]))[0]
        assert seen.exit is not None
        assert seen.exit.code == 7

    ask(cluster.kubeconfig, namespace, question)


def test_long_lines_and_both_streams_come_once(cluster: Cluster, namespace: str) -> None:
    # apart: a node's log puts a line of one stream between the parts of a long one of the other
    both = "i=0; while [ $i -lt 40 ]; do echo out $i; echo err $i >&2; i=$((i+1)); done"
    long = "head -c 50000 /dev/zero | tr '\\0' x"

    async def question(driver: KubernetesDriver) -> None:
        wanted = {both: sorted(f"{kind} {i}" for i in range(40) for kind in ("out", "err")), long: ["x" * 50000]}
        handles = {script: await driver.start(request(namespace, a_job("sh", "-c", script))) for script in wanted}
        for script, handle in handles.items():
            await until(driver, handle, _ended)
            assert sorted((await driver.output(handle)).text.splitlines()) == wanted[script]

    ask(cluster.kubeconfig, namespace, question)


def test_the_token_comes_as_a_file_and_stands_in_no_manifest(cluster: Cluster, namespace: str) -> None:
    async def question(driver: KubernetesDriver) -> None:
        job = a_job("cat", "/run/penstock/token")
        handle = await driver.start(request(namespace, job))
        seen = await until(driver, handle, _ended)
        assert (seen.exit and seen.exit.code) == 0, seen
        assert (await driver.output(handle)).text.strip() == "a-token"
        assert "a-token" not in cluster.kubectl("-n", namespace, "get", "job,pod", "-o", "yaml")
        owners = cluster.get("secret", job.name, "-n", namespace)["metadata"]["ownerReferences"]
        assert [(owner["kind"], owner["name"]) for owner in owners] == [("Job", job.name)]

    ask(cluster.kubeconfig, namespace, question)


REFUSALS = {
    "a namespace that is not there": ("not-there", [], Reason.CONFIGURATION_INVALID, "not-there"),
    "what no pod can have": (
        None,
        _patch("containers/0/terminationMessagePolicy", "Sometimes"),
        Reason.CONFIGURATION_INVALID,
        "terminationMessagePolicy",
    ),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_what_the_cluster_refuses_is_refused_with_its_words(cluster: Cluster, namespace: str, what: str) -> None:
    elsewhere, patches, reason, words = REFUSALS[what]

    async def question(driver: KubernetesDriver) -> None:
        job: Job = a_job("true")
        with pytest.raises(JobRejected, match=words) as told:
            await driver.start(request(elsewhere or namespace, job, customizations=patches))
        assert told.value.reason is reason
        assert told.value.hint
        assert await driver.find_job(job.name) is None

    ask(cluster.kubeconfig, namespace, question)
