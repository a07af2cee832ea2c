"""Agents come and go while pods run: each run is started once, told once, and cleared away."""

import os
from uuid import uuid4

import pytest
from killings import COUNTS, check_it_was_started_once_and_told_once, kill_again_and_again
from kubernetes_cluster import Cluster
from pods_world import PodsWorld

from penstock.model.reasons import Reason
from penstock.model.states import StateType
from penstock.testing import wait_until

SOAK = bool(os.environ.get("PENSTOCK_TEST_SOAK"))

MARKS = """
    @flow
    def main(name: str):
        mark(name)
"""


@pytest.mark.parametrize(
    ("kills", "seconds"),
    [
        pytest.param(3, 8.0, id="short"),
        pytest.param(
            20, 60.0, id="long", marks=[pytest.mark.soak, pytest.mark.skipif(not SOAK, reason="takes a minute")]
        ),
    ],
)
def test_a_pod_whose_agent_is_killed_again_and_again_is_started_once_and_told_once(
    apart: PodsWorld, kills: int, seconds: float
) -> None:
    world = apart.world
    agent = world.agent("-q", "queue", "--name", "a")
    run = world.run(apart.deploy(COUNTS), name="r", seconds=seconds)
    kill_again_and_again(world, agent, "r", kills, seconds)
    check_it_was_started_once_and_told_once(world, run, "r", seconds)
    apart.side.wait_until_gone(run)


def test_an_image_that_comes_after_the_start_limit_never_runs_user_code(apart: PodsWorld, node: Cluster) -> None:
    """Nobody is there to stop the Job meanwhile: the run's end alone keeps its pod from doing anything."""
    world, late = apart.world, f"penstock-test/late-{uuid4().hex[:10]}:1"
    agent = world.agent("-q", "queue", "--name", "a")
    block = {"image": late, "image_pull_policy": "Never", "start_timeout": 20, "cancel_timeout": 1, "grace_seconds": 0}
    run = world.run(apart.deploy(MARKS, block=block), name="r")
    wait_until(lambda: (found := world.attempts(run)) and found[-1].handle, 240, "its handle is told")
    agent.kill()  # well before the start limit, after which it would stop the Job
    wait_until(lambda: apart.side.of_kind("Pod", run), 240, "its pod waits for the image")
    state = world.wait_for(run, StateType.CRASHED).state
    assert state is not None
    assert state.state_details.reason is Reason.START_TIMEOUT
    node.tag(apart.image, late)
    (pod,) = apart.side.of_kind("Pod", run)
    wait_until(lambda: not apart.side.alive(run), 240, "the pod has come and gone")
    assert "worth nothing" in node.kubectl("logs", pod["metadata"]["name"], "-n", apart.side.namespace)
    assert world.marked("r") == []
    agent.restart()
    world.ended(run)
    assert [attempt.number for attempt in world.attempts(run)] == [1]
    assert world.marked("r") == []
