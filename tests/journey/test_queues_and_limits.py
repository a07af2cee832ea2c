"""Limits, queues and pools with real agents and real processes."""

import os
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from penstock import clock
from penstock.client import agents, flow_run_limits, flow_runs, work_pools, work_queues
from penstock.model.flow_runs import FlowRun
from penstock.model.reasons import Reason
from penstock.model.states import StateType
from penstock.model.work_pools import WorkPoolCreate, WorkPoolUpdate
from penstock.model.work_queues import WorkQueueCreate, WorkQueueUpdate
from penstock.testing import agent, wait_until

if TYPE_CHECKING:
    from tests.journey.conftest import World

MARKS = '@flow\ndef main(name: str = "r"):\n    mark("ran", name)'
#: The job starts, and what it starts never reports in.
HANGS = {"command": ["sleep", "600"], "grace_seconds": 1}


def explained(world: "World", run: FlowRun) -> str:
    return str(world.client.send(flow_runs.explain_flow_run(run.id))["explanation"])


@pytest.mark.parametrize("limited", ["queue", "deployment"])
def test_with_a_limit_of_one_a_hung_run_of_a_killed_agent_holds_the_next_one_up_for_its_start_limit_only(
    tmp_path: Path, make_world: Callable[..., AbstractContextManager["World"]], limited: str
) -> None:
    with make_world(tmp_path / "world", env={"PENSTOCK_AGENT_LEASE_SECONDS": "2"}) as world:
        hung = world.deploy(MARKS, infra_overrides=HANGS, concurrency_limit=1 if limited == "deployment" else None)
        if limited == "queue":
            queue = world.client.send(work_queues.read_work_queue_by_name("queue"))
            world.client.send(work_queues.update_work_queue(queue.id, WorkQueueUpdate(concurrency_limit=1)))
        killed = world.agent("-q", "queue", "--name", "killed")
        holder = world.run(hung)
        wait_until(lambda: (found := world.attempts(holder)) and found[-1].status == "STARTED")
        os.kill(killed.pid, signal.SIGKILL)
        next_one = world.run(hung) if limited == "deployment" else world.run(world.deploy(MARKS))
        world.agent("-q", "queue", "--name", "next").wait_for_output("It can run ")
        assert world.attempts(next_one) == []
        world.pass_start_limit(holder)
        passed = clock.now()
        wait_until(lambda: world.attempts(next_one), 120, "the next run is taken")
        taken = world.attempts(next_one)[0].claimed_at
        assert taken is not None
        print(f"limit of a {limited}: the next one was taken {(taken - passed).total_seconds():.1f} s after its end")
        state = world.wait_for(holder, StateType.CRASHED).state
        assert state is not None
        assert state.state_details.reason is Reason.START_TIMEOUT


def test_a_limit_of_a_deployment_lets_runs_of_others_pass(shared_world: "World") -> None:
    limited = shared_world.deploy(
        '@flow\ndef main(name: str):\n    mark(name)\n    wait_for("go on")', concurrency_limit=1
    )
    first = shared_world.run(limited, name="first")
    second = shared_world.run(limited, name="second")
    shared_world.wait_for_mark("first")
    wait_until(lambda: f"by {first.name} (Running" in explained(shared_world, second))
    other = shared_world.run(shared_world.deploy(MARKS))
    shared_world.wait_for(other, StateType.COMPLETED)
    assert shared_world.read(second).state_type is StateType.SCHEDULED
    use = shared_world.client.send(flow_run_limits.read_slots_of_deployment(limited.id))
    assert [live.flow_run_id for live in use.live_runs] == [first.id]
    shared_world.let("go on")
    shared_world.wait_for(second, StateType.COMPLETED)


def test_one_agent_serves_several_pools_and_patterns_and_queues_that_are_made_later(world: "World") -> None:
    for name in ("blue", "green"):
        world.client.send(work_pools.create_work_pool(WorkPoolCreate(name=name)))
    serving = world.agent("-p", "blue", "-p", "green", "-m", "*-night", "-q", "named", "--name", "both")
    serving.wait_for_output("queues that fit *-night of pools blue, green")
    places = [("blue", "etl-night"), ("green", "web-night"), ("green", "named")]
    runs = [world.run(world.deploy(MARKS, queue=queue, work_pool_name=pool)) for pool, queue in places]
    left = world.run(world.deploy(MARKS, queue="etl-day", work_pool_name="blue"))
    for run in runs:
        world.wait_for(run, StateType.COMPLETED)
    assert world.read(left).state_type is StateType.SCHEDULED
    (known,) = world.client.send(agents.read_agents())
    assert known.work_pools == ["blue", "green"]


def test_an_agent_that_ramps_up_starts_no_more_at_once_than_it_was_told(world: "World") -> None:
    # Each job says that it is there, and goes on to the engine when it may.
    waits = f"touch {world.probes()}/there-$$; while [ ! -e {world.probes()}/go ]; do sleep 0.05; done; "
    command = ["sh", "-c", f"{waits}exec {sys.executable} -m penstock.engine"]
    deployment = world.deploy(MARKS, infra_overrides={"command": command})
    runs = [world.run(deployment) for _ in range(5)]
    world.agent("-q", "queue", "--ramp-up", "2", "--name", "gentle")
    wait_until(lambda: len(list(world.probes().glob("there-*"))) == 2, 120, "two jobs are there")
    waiting = [run for run in runs if not world.attempts(run)]
    assert len(waiting) == 3
    wait_until(lambda: "'gentle' is starting 2 runs, and at most 2 at once" in explained(world, waiting[-1]))
    world.let("go")
    for run in runs:
        world.wait_for(run, StateType.COMPLETED)


def _ended(world: "World", *args: str) -> tuple[int, str]:
    with agent(world.server, *args) as started:
        return started.wait(), started.output


def test_an_agent_of_a_pool_that_does_not_exist_leaves_and_says_the_nearest_name(world: "World") -> None:
    world.client.send(work_pools.create_work_pool(WorkPoolCreate(name="production")))
    status, output = _ended(world, "-p", "prodution")
    assert status == 78
    assert "Work pool \"prodution\" not found. Did you mean 'production'?" in output
    assert "takes runs from" not in output
    assert "Traceback" not in output


def test_an_agent_that_was_told_to_wait_begins_once_its_pool_exists(world: "World") -> None:
    patient = world.agent("-p", "later", "--wait")
    patient.wait_for_output('Waiting, because: Work pool "later" not found.')
    world.client.send(work_pools.create_work_pool(WorkPoolCreate(name="later")))
    run = world.run(world.deploy(MARKS, work_pool_name="later"))
    world.wait_for(run, StateType.COMPLETED)


def test_what_keeps_runs_from_an_agent_is_told_when_it_starts(world: "World") -> None:
    world.client.send(work_pools.create_work_pool(WorkPoolCreate(name="night")))
    world.client.send(work_pools.update_work_pool("night", WorkPoolUpdate(is_paused=True)))
    told = world.agent("-p", "night", "-q", "new", "-m", "etl-")
    told.wait_for_output("Work pool night is paused. To go on: penstock work-pool resume 'night'")
    told.wait_for_output("There was no queue new in work pool night; it is made now")
    told.wait_for_output("No queue in work pool night fits etl- yet; those made later are served as well")
    told.wait_for_output("It can run ")
    world.client.send(work_queues.create_work_queue(WorkQueueCreate(name="held", is_paused=True)))
    world.agent("-q", "held").wait_for_output("Queue held is paused: no run is taken from it")
