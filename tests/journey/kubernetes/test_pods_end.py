"""How runs in pods end, whoever ends them: the verdict, its reason, the cluster's words, and what is left behind."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import docker_engine
import pytest
from docker_registry import Registry
from pods_world import KEY, PodsWorld

from penstock.client import flow_runs
from penstock.client.sync import SyncClient
from penstock.errors import Conflict
from penstock.model.attempts import Attempt
from penstock.model.flow_runs import FlowRun
from penstock.model.reasons import Phase, Reason
from penstock.model.states import StateType
from penstock.testing import wait_until

WAITS = """
    @flow
    def main(name: str):
        mark(name + "-began")
        print("it began", flush=True)
        try:
            wait_for(name + "-go")
        finally:
            mark(name + "-left")
        return 1
"""


@pytest.fixture
def name() -> str:
    return f"n{uuid4().hex[:10]}"


def test_a_run_completes_in_a_pod_of_which_nothing_is_left(pods: PodsWorld, name: str) -> None:
    world = pods.world
    source = """
        @task
        def double(x):
            return 2 * x

        @flow(log_prints=True)
        def main(name: str):
            get_run_logger().info("before")
            print("printed", double(21), os.environ["KUBERNETES_SERVICE_HOST"] != "")
            mark(name)
    """
    run = world.run(pods.deploy(source), name=name)
    ended = world.wait_for(run, StateType.COMPLETED)
    assert len(world.marked(name)) == 1
    assert [line for line in world.logs(run) if line in ("before", "printed 42 True")] == ["before", "printed 42 True"]
    attempt = world.ended(run)
    assert (attempt.exit and attempt.exit.code, attempt.reason, attempt.number) == (0, None, 1)
    assert attempt.infrastructure_type == "kubernetes-job"
    assert f":{pods.side.namespace}:" in (ended.infrastructure_pid or "")
    pods.side.wait_until_gone(run)


def test_a_flow_that_fails_is_tried_again_in_its_pod_and_at_last_failed_with_its_traceback(
    pods: PodsWorld, name: str
) -> None:
    world = pods.world
    source = """
        @flow(retries=1)
        def main(name: str, wanted: int):
            mark(name)
            if len((PROBES / name).read_text().split()) < wanted:
                raise ValueError("the wrong kind of fish")
    """
    deployment = pods.deploy(source)
    good, bad = world.run(deployment, name=f"{name}-2", wanted=2), world.run(deployment, name=f"{name}-3", wanted=3)
    world.wait_for(good, StateType.COMPLETED)
    state = world.wait_for(bad, StateType.FAILED).state
    assert state is not None
    assert (state.state_details.phase, state.state_details.reason) == (Phase.RUN, Reason.USER_CODE_RAISED)
    assert "the wrong kind of fish" in (state.message or "")
    said = "\n".join(world.logs(bad))
    assert "Traceback" in said
    assert 'raise ValueError("the wrong kind of fish")' in said
    for run in (good, bad):
        world.ended(run)
        assert [attempt.number for attempt in world.attempts(run)] == [1]
        assert len(world.marked(str(run.parameters["name"]))) == 2
    pods.side.wait_until_gone(good)
    assert pods.side.kinds(bad) == ["Job", "Pod", "Secret"]  # to be looked at


def test_a_pod_that_ends_before_user_code_is_launched_again(pods: PodsWorld, name: str) -> None:
    world = pods.world
    flag = world.probes() / f"{name}-tried"
    once = f"test -e {flag} || {{ echo not yet; touch {flag}; exit 3; }}; exec python -m penstock.engine"
    run = world.run(pods.deploy(WAITS, block={"command": ["sh", "-c", once]}), name=name)
    world.let(f"{name}-go")
    world.wait_for(run, StateType.COMPLETED)
    world.ended(run)
    first, second = world.attempts(run)
    assert (first.reason, first.exit and first.exit.code) == (Reason.START_FAILED, 3)
    assert "not yet" in (first.output_tail or "")
    assert (second.reason, second.exit and second.exit.code) == (None, 0)
    assert len(world.marked(f"{name}-began")) == len(world.marked(f"{name}-left")) == 1


def test_a_pod_without_enough_memory_is_told_from_one_that_was_killed(pods: PodsWorld, name: str) -> None:
    world = pods.world
    source = """
        @flow
        def main(name: str):
            mark(name)
            held = []
            while True:
                held.append(bytearray(8 * 1024**2))
    """
    run = world.run(pods.deploy(source, block={"resources": {"limits": {"memory": "64Mi"}}}), name=name)
    state = world.wait_for(run, StateType.CRASHED).state
    assert state is not None
    found = (state.state_details.phase, state.state_details.reason)
    assert found == (Phase.RUN, Reason.OUT_OF_MEMORY), world.story(run)
    assert len(world.marked(name)) == 1
    attempt = world.ended(run)
    assert attempt.exit is not None
    assert attempt.exit.oom
    told = _inspect(pods, run)
    assert told["attempts"][-1]["reason"] == "OutOfMemory"
    assert told["attempts"][-1]["hint"]


def test_a_pod_that_somebody_deletes_is_a_crash_and_no_other_runs_the_flow_again(pods: PodsWorld, name: str) -> None:
    world = pods.world
    run = world.run(pods.deploy(WAITS), name=name)
    world.wait_for_mark(f"{name}-began")
    pods.side.delete_pod(pods.side.pod(run), "--grace-period=1")
    state = world.wait_for(run, StateType.CRASHED).state
    assert state is not None
    assert state.state_details.phase is Phase.RUN
    attempt = world.ended(run)
    assert attempt.reason is Reason.DELETED, world.story(run)
    assert attempt.number == 1  # user code had begun: it is not begun again
    assert attempt.hint
    wait_until(lambda: not pods.side.alive(run), 60, "no pod of the run goes on")
    assert len(world.marked(f"{name}-began")) == 1


#: Its first attempt stays until it is told to leave; the second fails once, which the flow's own retry is there for.
TRIES = """
    @flow(retries=1)
    def main(name: str, where: str = ""):
        mark(name + "-began")
        if len((PROBES / (name + "-began")).read_text().split()) == 1:
            if where:
                pathlib.Path(where).write_bytes(bytes(30 * 1024**2))
            wait_for("nobody-lets-it-go")
        if len((PROBES / (name + "-began")).read_text().split()) == 2:
            raise ValueError("once")
"""


def _was_launched_again(pods: PodsWorld, run: FlowRun, reason: Reason, words: str) -> None:
    """It was taken from its first attempt by the cluster, and nothing but the infrastructure's retries was spent."""
    world = pods.world
    world.wait_for(run, StateType.COMPLETED, timeout=120)
    world.ended(run)
    first, second = world.attempts(run)
    assert (first.number, first.reason, second.number, second.reason) == (1, reason, 2, None), world.story(run)
    assert words in (first.message or ""), first
    states = world.client.send(flow_runs.read_flow_run_states(run.id))
    waits = [state.message or "" for state in states if state.state_details.reason is reason]
    assert len(waits) == 1
    assert "It is launched again" in waits[0]
    assert "(try 1 of " in waits[0]
    assert len(world.marked(f"{run.parameters['name']}-began")) == 3  # the flow's own retry was still to be had


@pytest.fixture(scope="module")
def greedy(pods: PodsWorld) -> dict[str, FlowRun]:
    """Runs that write more than their pods may, by the file that they write: a node takes its time to notice."""
    volume = {"name": "big", "emptyDir": {"sizeLimit": "10Mi"}}
    container = {"name": "penstock-job", "volumeMounts": [{"name": "big", "mountPath": "/big"}]}
    big = {"spec": {"template": {"spec": {"volumes": [volume], "containers": [container]}}}}
    blocks: dict[str, dict[str, Any]] = {
        "/big/file": {"customizations": [big]},
        "/tmp/file": {"resources": {"limits": {"ephemeral-storage": "10Mi"}}},
    }
    return {
        where: pods.world.run(pods.deploy(TRIES, block=block), name=f"greedy{where[1:4]}", where=where)
        for where, block in blocks.items()
    }


@pytest.mark.usefixtures("greedy")  # they are evicted meanwhile
def test_a_pod_that_gives_way_to_a_more_important_one_is_launched_again(pods: PodsWorld, name: str) -> None:
    world, side = pods.world, pods.side
    with side.scarce(f"penstock.test/{name}") as resource, side.priority(name):
        one = {"limits": {resource: "1"}}
        run = world.run(pods.deploy(TRIES, block={"resources": one}), name=name)
        world.wait_for_mark(f"{name}-began")
        side.run_pod(name, "sleep 1", priorityClassName=name, resources=one)
        _was_launched_again(pods, run, Reason.PREEMPTED, f"Preempted by {side.namespace}/{name}")


def test_pods_that_their_node_evicts_are_launched_again(pods: PodsWorld, greedy: dict[str, FlowRun]) -> None:
    _was_launched_again(pods, greedy["/big/file"], Reason.EVICTED, 'EmptyDir volume "big" exceeds the limit "10Mi"')
    _was_launched_again(pods, greedy["/tmp/file"], Reason.EVICTED, "exceeds the total limit of containers 10Mi")


@pytest.mark.parametrize("polite", [True, False], ids=["polite", "deaf"])
def test_a_cancelled_run_is_cancelled_when_its_pod_has_ended(pods: PodsWorld, name: str, polite: bool) -> None:
    world = pods.world
    deaf = "" if polite else "signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    source = f"""
        @flow
        def main(name: str):
            {deaf}
            mark(name + "-began")
            try:
                wait_for(name + "-go")
            finally:
                mark(name + "-left")
    """
    run = world.run(pods.deploy(source, block={"grace_seconds": 2}), name=name)
    world.wait_for_mark(f"{name}-began")
    world.cancel(run)
    world.wait_for(run, StateType.CANCELLED)
    assert pods.side.alive(run) == []
    assert len(world.marked(f"{name}-left")) == polite
    pods.side.wait_until_gone(run)


def test_the_token_is_in_the_secret_alone_and_worth_nothing_when_the_run_is_over(pods: PodsWorld, name: str) -> None:
    world, side = pods.world, pods.side
    source = WAITS + '    print("variables", dict(os.environ))\n'
    run = world.run(pods.deploy(source), name=name)
    world.wait_for_mark(f"{name}-began")
    pod = side.pod(run)
    token = side.inside(pod, "cat", "/run/penstock/token").strip()
    assert len(token) > 20
    processes = side.inside(pod, "sh", "-c", "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline; env")
    attempt = world.attempts(run)[-1]
    with SyncClient(world.server.api_url, attempt=(attempt.id, token)) as holder:
        assert holder.send(flow_runs.read_flow_run(run.id)).id == run.id
    places = {"the cluster": side.everything_said(run), "its processes": processes}
    world.let(f"{name}-go")
    world.wait_for(run, StateType.COMPLETED)
    attempt = world.ended(run)
    places["the attempt"] = attempt.model_dump_json()
    places["the run's log"] = "\n".join(world.logs(run))
    places["the agent"] = "".join(path.read_text() for path in world.server.home.glob("agent-*.log"))
    shown = [
        (place, what)
        for what, secret in (("token", token), ("key", KEY))
        for place in places
        if secret in places[place]
    ]
    assert shown == []
    late = SyncClient(world.server.api_url, attempt=(attempt.id, token))
    with late, pytest.raises(Conflict, match="worth nothing"):
        late.send(flow_runs.read_flow_run(run.id))
    side.wait_until_gone(run)


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    with docker_engine.registry() as running:
        yield running


@pytest.fixture(scope="module")
def stuck(pods: PodsWorld, registry: Registry) -> dict[str, FlowRun]:
    """Runs whose pods cannot start, each for a reason of its own, asked for at once because each takes its time."""
    blocks: dict[str, dict[str, Any]] = {
        "no image": {"image": "penstock-test/nobody-made-this:1", "image_pull_policy": "Never"},
        "no node": {"node_selector": {"penstock.test/disk": "none-has-it"}, "start_timeout": 8},
        "no such image": {"image": f"{registry.address}/nobody/made-this:1"},
        "no secret": {"env_from_secrets": ["nobody-made-this"]},
    }
    return {what: pods.world.run(pods.deploy(WAITS, block=block), name=what) for what, block in blocks.items()}


def _crashed(pods: PodsWorld, run: FlowRun, reason: Reason) -> Attempt:
    world = pods.world
    state = world.wait_for(run, StateType.CRASHED, timeout=120).state
    assert state is not None
    assert state.state_details.reason is reason, world.story(run)
    assert world.marked(f"{run.parameters['name']}-began") == []
    return world.ended(run)


def test_a_pod_that_fits_no_node_waits_in_the_schedulers_words_until_its_start_limit(
    pods: PodsWorld, stuck: dict[str, FlowRun]
) -> None:
    world, run = pods.world, stuck["no node"]
    attempt = wait_until(lambda: (found := world.attempts(run)) and found[-1].waiting_for and found[-1], 60, "it waits")
    assert attempt.phase is Phase.SCHEDULE
    assert "node" in (attempt.waiting_for or "")
    assert "0/1 nodes" in (attempt.message or ""), attempt
    attempt = _crashed(pods, run, Reason.START_TIMEOUT)
    assert "0/1 nodes" in attempt.model_dump_json(), attempt
    wait_until(lambda: not pods.side.alive(run), 60, "its pod is gone")


def test_an_image_that_is_nowhere_is_told_long_before_the_start_limit(
    pods: PodsWorld, stuck: dict[str, FlowRun]
) -> None:
    attempt = _crashed(pods, stuck["no image"], Reason.IMAGE_NOT_FOUND)
    assert attempt.phase is Phase.IMAGE
    assert "penstock-test/nobody-made-this:1" in (attempt.message or "")


def test_a_secret_that_is_nowhere_is_told_with_the_kubelets_words(pods: PodsWorld, stuck: dict[str, FlowRun]) -> None:
    attempt = _crashed(pods, stuck["no secret"], Reason.CONFIGURATION_INVALID)
    assert 'secret "nobody-made-this" not found' in (attempt.message or "")


def test_an_image_that_its_registry_does_not_have_is_told_in_the_registrys_words(
    pods: PodsWorld, stuck: dict[str, FlowRun], registry: Registry
) -> None:
    attempt = _crashed(pods, stuck["no such image"], Reason.IMAGE_NOT_FOUND)
    assert f"{registry.address}/nobody/made-this:1" in (attempt.message or "")
    assert "not found" in (attempt.message or "")


def _inspect(pods: PodsWorld, run: FlowRun) -> dict[str, list[dict[str, object]]]:
    """What `penstock flow-run inspect` says."""
    done = subprocess.run(
        [sys.executable, "-m", "penstock.cli", "flow-run", "inspect", str(run.id), "-o", "json"],
        env=pods.world.server.env,
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, list[dict[str, object]]] = json.loads(done.stdout)
    return found
