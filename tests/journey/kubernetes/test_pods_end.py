"""How runs in pods end, whoever ends them: the verdict, its reason, the cluster's words, and what is left behind."""

from collections.abc import Iterator
from typing import Any

import docker_engine
import pytest
from docker_registry import Registry
from jobs_end import WAITS, JobsEnd, Place
from pods_world import KEY, PodsWorld

from penstock.client import flow_runs
from penstock.client.sync import SyncClient
from penstock.errors import Conflict
from penstock.model.attempts import Attempt
from penstock.model.flow_runs import FlowRun
from penstock.model.reasons import Phase, Reason
from penstock.model.states import StateType
from penstock.testing import wait_until


class TestPodsEnd(JobsEnd):
    """What ends the same on every platform."""

    @pytest.fixture
    def place(self, pods: PodsWorld) -> Place:
        return pods


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
    world.wait_for(run, StateType.COMPLETED, timeout=300)
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


@pytest.mark.usefixtures("greedy", "stuck")  # they take their time meanwhile
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
        "no node": {"node_selector": {"penstock.test/disk": "none-has-it"}, "start_timeout": 3600},
        "no node in time": {"node_selector": {"penstock.test/disk": "none-has-it"}, "start_timeout": 30},
        "no such image": {"image": f"{registry.address}/nobody/made-this:1"},
        "no secret": {"env_from_secrets": ["nobody-made-this"]},
    }
    return {what: pods.world.run(pods.deploy(WAITS, block=block), name=what) for what, block in blocks.items()}


def _crashed(pods: PodsWorld, run: FlowRun, reason: Reason) -> Attempt:
    world = pods.world
    state = world.wait_for(run, StateType.CRASHED, timeout=300).state
    assert state is not None
    assert state.state_details.reason is reason, world.story(run)
    assert world.marked(f"{run.parameters['name']}-began") == []
    return world.ended(run)


def test_a_pod_that_fits_no_node_waits_in_the_schedulers_words_until_its_start_limit(
    pods: PodsWorld, stuck: dict[str, FlowRun]
) -> None:
    world, waits, late = pods.world, stuck["no node"], stuck["no node in time"]

    def told() -> Attempt | None:
        found = world.attempts(waits)
        return found[-1] if found and "0/1 nodes" in (found[-1].message or "") else None

    attempt = wait_until(told, 240, "it waits in the scheduler's words")
    assert attempt is not None
    assert attempt.phase is Phase.SCHEDULE
    assert "node" in (attempt.waiting_for or "")
    world.cancel(waits)
    attempt = _crashed(pods, late, Reason.START_TIMEOUT)
    assert "0/1 nodes" in attempt.model_dump_json(), attempt
    world.wait_for(waits, StateType.CANCELLED, timeout=300)
    wait_until(lambda: not pods.side.alive(waits) + pods.side.alive(late), 240, "their pods are gone")


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
