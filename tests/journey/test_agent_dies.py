"""The agent is killed, and nobody notices: runs go on, and what it would have told is told by whoever comes next."""

import os
from typing import TYPE_CHECKING

import pytest

from penstock.model.states import StateType
from penstock.testing import wait_until

if TYPE_CHECKING:
    from tests.journey.conftest import World

TIMES = 50 if os.environ.get("PENSTOCK_TEST_SOAK") else 5

TALKS = """
    @flow
    def main(name: str, code: int = 0):
        mark(name)
        print(name, "line one")
        wait_for(name + "-go")
        get_run_logger().info("after")
        print(name, "line two")
        sys.stdout.flush()
        mark(name + "-done")
        if code:
            os._exit(code)
"""


def test_an_agent_killed_in_mid_run_and_started_again_knows_exit_and_output(world: "World") -> None:
    agent = world.agent("-q", "queue", "--name", "a")
    deployment = world.deploy(TALKS)
    for n in range(TIMES):
        run = world.run(deployment, name=f"r{n}", code=n % 2 * 7)
        world.wait_for_mark(f"r{n}")
        agent.kill()
        world.let(f"r{n}-go")
        world.wait_for_mark(f"r{n}-done")
        agent.restart()
        world.wait_for(run, StateType.CRASHED if n % 2 else StateType.COMPLETED)
        attempt = world.ended(run)
        assert attempt.exit is not None
        assert attempt.exit.code == n % 2 * 7
        assert f"r{n} line one" in (attempt.output_tail or "")
        assert f"r{n} line two" in (attempt.output_tail or "")
        assert world.marked(f"r{n}") == world.marked(f"r{n}-done"), "one process from begin to end"
        assert len(world.attempts(run)) == 1


def test_an_agent_killed_in_mid_run_is_relieved_by_another_one_on_its_host(world: "World") -> None:
    first = world.agent("-q", "queue", "--name", "first")
    deployment = world.deploy(TALKS)
    run = world.run(deployment, name="r")
    world.wait_for_mark("r")
    world.wait_for(run, StateType.RUNNING)
    first.kill()
    world.agent("-q", "elsewhere", "--name", "second")
    wait_until(lambda: world.attempts(run)[0].agent_name == "second", 120, "the attempt was taken over")
    world.let("r-go")
    world.wait_for(run, StateType.COMPLETED)
    attempt = world.ended(run)
    assert (attempt.exit and attempt.exit.code, attempt.number) == (0, 1)
    assert len(world.marked("r")) == 1


@pytest.mark.parametrize("again", [False, True], ids=["once", "twice"])
def test_an_agent_told_to_stop_leaves_its_runs_alone(world: "World", again: bool) -> None:
    agent = world.agent("-q", "queue", "--name", "a")
    deployment = world.deploy(TALKS)
    run = world.run(deployment, name="r")
    world.wait_for_mark("r")
    world.wait_for(run, StateType.RUNNING)
    agent.terminate()
    if again:
        agent.terminate()
        assert agent.wait(120) in (0, 130)
    else:
        assert agent.wait(120) == 0
    late = world.run(deployment, name="late")
    assert world.read(run).state_type is StateType.RUNNING
    world.let("r-go")
    world.wait_for(run, StateType.COMPLETED)
    assert world.read(late).state_type is StateType.SCHEDULED
    assert world.marked("late") == []
    agent.restart()
    attempt = world.ended(run)
    assert attempt.exit is not None
    assert attempt.exit.code == 0
    world.let("late-go")
    world.wait_for(late, StateType.COMPLETED)


def test_an_agent_with_time_to_drain_waits_for_its_runs_and_takes_no_more(world: "World") -> None:
    agent = world.agent("-q", "queue", env={"PENSTOCK_AGENT_DRAIN_SECONDS": "250"})
    deployment = world.deploy(TALKS)
    run = world.run(deployment, name="r")
    world.wait_for_mark("r")
    agent.terminate()
    agent.wait_for_output("Waiting up to")
    late = world.run(deployment, name="late")
    assert agent.running
    world.let("r-go")
    assert agent.wait(120) == 0
    world.wait_for(run, StateType.COMPLETED)
    assert world.attempts(run)[0].status == "ENDED"
    assert world.read(late).state_type is StateType.SCHEDULED
