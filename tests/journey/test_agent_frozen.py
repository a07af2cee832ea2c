"""An agent that stood still (a suspended machine, a debugger) has lost its lease when it goes on, and acts accordingly."""

import signal
from typing import TYPE_CHECKING

import psutil
import pytest
from freezing import freeze

from penstock.model.reasons import Reason
from penstock.model.states import StateType
from penstock.testing import TestAgent, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.journey.conftest import World

LEASE = {"PENSTOCK_AGENT_LEASE_SECONDS": "3"}

WAITS = """
    @flow
    def main():
        mark("pid")
        wait_for("go")
        mark("done")
"""


@pytest.fixture
def short_leases(tmp_path: "Path", make_world: "Callable[..., AbstractContextManager[World]]") -> "Iterator[World]":
    with make_world(tmp_path / "world", env=LEASE) as made:
        yield made


def _thaw(agent: TestAgent) -> None:
    psutil.Process(agent.pid).send_signal(signal.SIGCONT)


def test_a_frozen_agent_that_was_relieved_leaves_the_job_to_the_other_one(short_leases: "World") -> None:
    world = short_leases
    first = world.agent("-q", "queue", "--name", "first")
    run = world.run(world.deploy(WAITS))
    world.wait_for_mark("pid")
    world.wait_for(run, StateType.RUNNING)
    began = world.attempts(run)[-1].number  # a slow machine may let go of a run that it has not started yet
    freeze(first.pid)
    world.agent("-q", "elsewhere", "--name", "second")
    wait_until(lambda: world.attempts(run)[-1].agent_name == "second", 120, "the attempt was taken over")
    _thaw(first)
    first.wait_for_output("another agent's now", 120)
    world.let("go")
    world.wait_for(run, StateType.COMPLETED)
    attempt = world.ended(run)
    # whose it is in the end: on a slow machine the second one may have been too late for its lease in turn
    assert (attempt.exit and attempt.exit.code, attempt.number) == (0, began)
    assert len(world.marked("pid")) == len(world.marked("done")) == 1


def test_what_was_declared_dead_while_its_agent_stood_still_is_stopped_when_that_goes_on(short_leases: "World") -> None:
    world = short_leases
    agent = world.agent("-q", "queue", "--name", "a")
    run = world.run(world.deploy(WAITS, infra_overrides={"run_timeout": 2, "grace_seconds": 1, "cancel_timeout": 2}))
    pid = int(world.wait_for_mark("pid")[0])
    freeze(agent.pid)
    state = world.wait_for(run, StateType.CRASHED).state
    assert state is not None
    assert state.state_details.reason is Reason.RUN_TIMEOUT
    _thaw(agent)
    wait_until(lambda: not psutil.pid_exists(pid), 120, "the job was stopped")
    world.let("go")
    assert world.marked("done") == []
    assert world.read(run).state_type is StateType.CRASHED


def test_what_was_declared_dead_while_no_agent_lived_is_swept_away_by_the_next_one(short_leases: "World") -> None:
    world = short_leases
    agent = world.agent("-q", "queue", "--name", "a")
    deployment = world.deploy(
        '@flow\ndef main():\n    mark("ran")',
        infra_overrides={"command": ["sleep", "600"], "grace_seconds": 1, "cancel_timeout": 2},
    )
    run = world.run(deployment)
    wait_until(lambda: (found := world.attempts(run)) and found[-1].status == "STARTED", 120)
    pid = (world.attempts(run)[-1].handle or {})["data"]["pid"]
    agent.kill()
    world.pass_start_limit(run)
    world.wait_for(run, StateType.CRASHED)
    assert psutil.pid_exists(pid)
    world.agent("-q", "elsewhere", "--name", "sweeper")
    wait_until(lambda: not psutil.pid_exists(pid), 240, "the orphan was stopped")
