"""Which runs an agent takes, and how many at once."""

import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from penstock import clock
from penstock.client import flow_runs, work_queues
from penstock.model.flow_runs import DeploymentFlowRunCreate, FlowRun
from penstock.model.reasons import Reason
from penstock.model.states import StateCreate, StateDetails, StateType
from penstock.model.work_queues import WorkQueueUpdate
from penstock.testing import TestAgent, agent, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from tests.journey.conftest import World

#: Leaves a file while it runs, and notes how many there are: the most that ever ran at once. Waits until it may go on.
CROWD = """
    @flow
    def main(name: str):
        (PROBES / "inside").mkdir(exist_ok=True)
        me = PROBES / "inside" / name
        me.touch()
        mark("crowd", len(list((PROBES / "inside").iterdir())))
        wait_for("go")
        time.sleep(0.3)
        me.unlink()
        mark("ran", name)
"""


def _most_at_once(world: "World") -> int:
    return max(int(number) for number in world.marked("crowd"))


def test_two_agents_with_limits_never_run_more_than_both_allow(world: "World") -> None:
    deployment = world.deploy(CROWD)
    runs = [world.run(deployment, name=f"r{n}") for n in range(12)]
    world.agent("-q", "queue", "--limit", "2", "--name", "a")
    world.agent("-q", "queue", "--limit", "1", "--name", "b")
    wait_until(lambda: len(world.marked("crowd")) >= 3, 120, "both do what they may")
    world.let("go")
    for run in runs:
        world.wait_for(run, StateType.COMPLETED)
    assert sorted(world.marked("ran")) == sorted(f"r{n}" for n in range(12))
    assert _most_at_once(world) <= 3
    assert {attempt.agent_name for run in runs for attempt in world.attempts(run)} == {"a", "b"}


def test_a_queues_concurrency_limit_of_one_means_one_after_the_other(world: "World") -> None:
    deployment = world.deploy(CROWD)
    world.let("go")
    queue = world.client.send(work_queues.read_work_queue_by_name("queue"))
    world.client.send(work_queues.update_work_queue(queue.id, WorkQueueUpdate(concurrency_limit=1)))
    runs = [world.run(deployment, name=f"r{n}") for n in range(4)]
    world.agent("-q", "queue", "--name", "a")
    world.agent("-q", "queue", "--name", "b")
    for run in runs:
        world.wait_for(run, StateType.COMPLETED)
    assert _most_at_once(world) == 1


def test_an_agent_on_a_prefix_serves_every_queue_that_begins_so_and_no_other(world: "World") -> None:
    source = '@flow\ndef main(name: str):\n    mark("ran", name)'
    world.agent("-m", "etl-")
    wanted = [world.run(world.deploy(source, queue=queue), name=queue) for queue in ("etl-a", "etl-b")]
    other = world.run(world.deploy(source, queue="web"), name="web")
    for run in wanted:
        world.wait_for(run, StateType.COMPLETED)
    assert sorted(world.marked("ran")) == ["etl-a", "etl-b"]
    assert world.read(other).state_type is StateType.SCHEDULED


def test_an_agent_that_works_once_takes_what_is_due_waits_for_its_end_and_leaves(world: "World") -> None:
    deployment = world.deploy('@flow\ndef main(name: str):\n    time.sleep(0.5)\n    mark("ran", name)')
    due = [world.run(deployment, name=f"r{n}") for n in range(3)]
    later = clock.now() + timedelta(hours=1)
    state = StateCreate(type=StateType.SCHEDULED, state_details=StateDetails(scheduled_time=later))
    asked = DeploymentFlowRunCreate(parameters={"name": "later"}, state=state)
    not_due = world.client.send(flow_runs.create_flow_run_from_deployment(deployment.id, asked))
    once = world.agent("-q", "queue", "--run-once")
    assert once.wait(120) == 0
    assert sorted(world.marked("ran")) == ["r0", "r1", "r2"]
    assert [world.read(run).state_type for run in due] == [StateType.COMPLETED] * 3
    assert [world.attempts(run)[0].status for run in due] == ["ENDED"] * 3
    assert world.read(not_due).state_type is StateType.SCHEDULED


def test_a_run_is_taken_early_by_an_agent_that_looks_ahead_and_begins_in_time(world: "World") -> None:
    deployment = world.deploy('@flow\ndef main():\n    mark("at", time.time())')

    def due_at(due: datetime) -> FlowRun:
        state = StateCreate(type=StateType.SCHEDULED, state_details=StateDetails(scheduled_time=due))
        asked = DeploymentFlowRunCreate(state=state)
        return world.client.send(flow_runs.create_flow_run_from_deployment(deployment.id, asked))

    world.agent("-q", "queue", "--prefetch-seconds", "3600")
    late = clock.now() + timedelta(minutes=50)
    early = due_at(late)
    wait_until(lambda: world.attempts(early), 120, "it is taken long before it is due")
    soon = clock.now() + timedelta(seconds=3)
    world.wait_for(due_at(soon), StateType.COMPLETED)
    [began] = world.marked("at")
    assert soon.timestamp() <= float(began) < late.timestamp()


def test_a_run_that_nobody_can_launch_in_time_is_crashed_by_the_server(world: "World") -> None:
    # The job starts, but what it starts never reports in.
    world.agent("-q", "queue")
    for limit in (2, 10, 60):
        deployment = world.deploy(
            '@flow\ndef main():\n    mark("ran")',
            infra_overrides={"command": ["sleep", "600"], "start_timeout": limit, "grace_seconds": 1},
        )
        run = world.run(deployment)
        state = world.wait_for(run, StateType.CRASHED).state
        assert state is not None
        assert state.state_details.reason is Reason.START_TIMEOUT
        attempt = world.ended(run)
        if attempt.handle is not None:
            break  # else the machine is too slow to start it within that limit
    assert attempt.handle is not None
    assert not psutil.pid_exists(attempt.handle["data"]["pid"]), "it was stopped before the verdict"


def test_the_start_limit_is_judged_with_all_agents_dead_and_its_job_never_runs_user_code(world: "World") -> None:
    killed = world.agent("-q", "queue", "--name", "a")
    source = '@flow\ndef main():\n    mark("ran")'
    # A job that takes its time before it becomes the engine.
    slow = ["sh", "-c", f"while [ ! -e {world.probes() / 'go'} ]; do sleep 0.1; done; exec python -m penstock.engine"]
    run = world.run(world.deploy(source, infra_overrides={"command": slow}))
    wait_until(lambda: (found := world.attempts(run)) and found[0].status == "STARTED")
    pid = (world.attempts(run)[0].handle or {})["data"]["pid"]
    killed.kill()
    world.pass_start_limit(run)
    state = world.wait_for(run, StateType.CRASHED).state
    assert state is not None
    assert state.state_details.reason is Reason.START_TIMEOUT
    assert psutil.pid_exists(pid), "nobody was there to stop it"
    world.let("go")
    wait_until(lambda: not psutil.pid_exists(pid), message="the superseded engine has left")
    assert world.marked("ran") == []
    assert world.read(run).state_type is StateType.CRASHED


def _status_of(world: "World", *args: str, **env: str) -> tuple[int, str]:
    with agent(world.server, *args, env=env) as started:
        return started.wait(), started.output


def test_an_agent_without_a_server_to_ask_says_so_and_leaves(world: "World") -> None:
    status, output = _status_of(world, "-q", "queue", PENSTOCK_API_URL="")
    assert status == 78
    assert "PENSTOCK_API_URL" in output
    assert "Traceback" not in output


def test_an_agent_whose_key_is_refused_says_so_and_leaves(
    tmp_path: Path, make_world: "Callable[..., AbstractContextManager[World]]"
) -> None:
    with make_world(tmp_path / "world", env={"PENSTOCK_SERVER_API_KEY": "right"}) as guarded:
        status, output = _status_of(guarded, "-q", "queue", PENSTOCK_API_KEY="wrong")
        assert status == 78
        assert "refuses this agent" in output
        assert "wrong" not in output
        assert "Traceback" not in output
        run = guarded.run(guarded.deploy('@flow\ndef main():\n    mark("ran")'))
        guarded.agent("-q", "queue", env={"PENSTOCK_API_KEY": "right"})
        guarded.wait_for(run, StateType.COMPLETED)


def test_two_agents_of_one_name_and_home_are_two(world: "World") -> None:
    deployment = world.deploy(CROWD)
    agents: list[TestAgent] = [world.agent("-q", "queue", "--name", "twin", "--limit", "1") for _ in range(2)]
    runs: list[FlowRun] = [world.run(deployment, name=f"r{n}") for n in range(6)]
    wait_until(lambda: len(world.marked("crowd")) >= 2, 120, "both do what they may")
    world.let("go")
    for run in runs:
        world.wait_for(run, StateType.COMPLETED)
    ids = {attempt.agent_id for run in runs for attempt in world.attempts(run)}
    assert len(ids) == len(agents)
    assert _most_at_once(world) <= 2


def test_an_idle_agent_costs_next_to_nothing(world: "World") -> None:
    idle = world.agent("-q", "queue")
    idle.wait_for_output("takes runs from")
    wait_until(lambda: (world.server.home / "agents").is_dir())
    process = psutil.Process(idle.pid)
    before = sum(process.cpu_times()[:2])
    began = clock.monotonic()
    wait_until(lambda: clock.monotonic() > began + 5, 30)
    used = sum(process.cpu_times()[:2]) - before
    memory = process.memory_info().rss / 1e6
    print(f"idle agent: {memory:.0f} MB, {used / (clock.monotonic() - began):.2%} of a CPU")
    assert memory < 120
    loaded = Path(f"/proc/{idle.pid}/maps").read_text()
    assert "sqlalchemy" not in loaded
    assert os.path.exists(f"/proc/{idle.pid}")
