"""A suspended run gives its process back, and goes on in a new one when it is resumed."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from penstock.client import flow_runs
from penstock.model.states import StateCreate, StateDetails, StateType
from penstock.testing import wait_until

if TYPE_CHECKING:
    from tests.journey.conftest import World

SUSPENDS = """
    from penstock import suspend_flow_run, pause_flow_run

    @task(persist_result=True)
    def costly():
        mark("costly")
        return 20

    @task
    def cheap():
        mark("cheap")
        return 1

    @flow
    def main():
        mark("pid")
        found = costly() + cheap()
        found += suspend_flow_run(wait_for_input=int, timeout=600)
        mark("went-on", found)
        return found
"""


def test_a_suspended_run_leaves_and_goes_on_with_what_was_kept(shared_world: "World") -> None:
    world = shared_world
    run = world.run(world.deploy(SUSPENDS))
    found = world.wait_for(run, StateType.PAUSED)
    assert found.state_name == "Suspended"
    first = world.ended(run)
    assert (first.reason, first.exit and first.exit.code) == (None, 0)
    pid = int(world.marked("pid")[0])
    wait_until(lambda: not psutil.pid_exists(pid), 120, "its process is gone")
    assert world.read(run).state_type is StateType.PAUSED
    world.client.send(flow_runs.resume_flow_run(run.id, {"value": 100}))
    world.wait_for(run, StateType.COMPLETED)
    assert world.marked("went-on") == ["121"]
    assert len(world.marked("costly")) == 1, "its result was kept"
    assert len(world.marked("cheap")) == 2, "its result was not"
    assert len(set(world.marked("pid"))) == 2
    assert len(world.attempts(run)) == 2
    # a slow machine may take it late
    assert [name for name in world.states(run) if name != "Late"] == [
        "Scheduled", "Pending", "Running", "Suspended", "Resuming", "Pending", "Running", "Completed",
    ]  # fmt: skip
    assert world.read(run).run_count == 1, "to be resumed is not to be tried again"


def test_a_run_that_is_suspended_from_outside_leaves_before_its_next_task(world: "World") -> None:
    world.agent("-q", "queue")
    run = world.run(
        world.deploy("""
        @task(persist_result=True)
        def step(name):
            mark(name)

        @flow
        def main():
            step("first")
            while not (PROBES / "go").exists():
                get_run_logger().info("alive")
                time.sleep(0.1)
            step("second")
        """)
    )
    world.wait_for_mark("first")
    world.wait_for(run, StateType.RUNNING)
    details = StateDetails(pause_reschedule=True)
    world.client.send(flow_runs.set_flow_run_state(run.id, StateCreate(type=StateType.PAUSED, state_details=details)))
    # the process is told with the answer to its next report, and has heard it when it sends the one after that
    paused = world.read(run).state.timestamp
    for which in ("next", "second"):
        known = max(paused, _reported(world, run) or paused)
        wait_until(lambda known=known: _reported(world, run) > known, 120, f"the {which} report has come")
    world.let("go")
    assert world.ended(run).exit is not None
    assert world.marked("second") == []
    world.client.send(flow_runs.resume_flow_run(run.id))
    world.wait_for(run, StateType.COMPLETED)
    assert (len(world.marked("first")), len(world.marked("second"))) == (1, 1)


def _reported(world: "World", run: Any) -> Any:
    """When its process has last reported."""
    return world.attempts(run)[-1].last_reported_at


def test_an_asynchronous_flow_is_suspended_with_its_subflow_and_what_runs_is_let_finish(shared_world: "World") -> None:
    world = shared_world
    run = world.run(
        world.deploy("""
        import asyncio
        from penstock import suspend_flow_run

        @task(persist_result=True)
        async def slow():
            mark("slow-begun")
            while not (PROBES / "slow-go").exists():
                await asyncio.sleep(0.02)
            mark("slow-ended")
            return 1

        @flow
        async def inner():
            mark("inner")
            await asyncio.sleep(600 if not (PROBES / "resumed").exists() else 0)

        @flow
        async def main():
            future = await slow.submit()
            while not (PROBES / "slow-begun").exists():
                await asyncio.sleep(0.02)
            sub = asyncio.create_task(inner())
            while not (PROBES / "inner").exists():
                await asyncio.sleep(0.02)
            await suspend_flow_run(timeout=600)
            await sub
            return await future.result()
        """)
    )
    world.wait_for(run, StateType.PAUSED)
    assert world.marked("slow-ended") == []
    world.let("slow-go")
    assert world.ended(run).exit.code == 0
    assert len(world.marked("slow-ended")) == 1
    world.let("resumed")
    world.client.send(flow_runs.resume_flow_run(run.id))
    world.wait_for(run, StateType.COMPLETED)
    assert len(world.marked("slow-begun")) == 1
    assert len(world.marked("inner")) == 2


def test_a_suspended_run_is_cancelled_at_once(shared_world: "World") -> None:
    world = shared_world
    run = world.run(world.deploy(SUSPENDS))
    world.wait_for(run, StateType.PAUSED)
    world.ended(run)
    world.cancel(run)
    assert world.read(run).state_type is StateType.CANCELLED


def test_a_paused_run_that_is_cancelled_is_stopped(shared_world: "World") -> None:
    world = shared_world
    run = world.run(
        world.deploy("""
        from penstock import pause_flow_run

        @flow
        def main():
            mark("paused-pid")
            pause_flow_run(timeout=600)
        """)
    )
    world.wait_for(run, StateType.PAUSED)
    pid = int(world.marked("paused-pid")[0])
    world.cancel(run)
    world.wait_for(run, StateType.CANCELLED)
    assert not psutil.pid_exists(pid)


def test_a_process_that_is_killed_while_it_waits_has_crashed(shared_world: "World") -> None:
    world = shared_world
    run = world.run(
        world.deploy("""
        from penstock import pause_flow_run

        @flow
        def main():
            mark("killed-pid")
            pause_flow_run(timeout=600)
        """)
    )
    world.wait_for(run, StateType.PAUSED)
    psutil.Process(int(world.marked("killed-pid")[0])).kill()
    found = world.wait_for(run, StateType.CRASHED)
    assert found.state is not None
    assert "SIGKILL" in str(found.state.message)


def test_the_server_fails_a_suspended_run_whose_time_is_over_with_all_agents_gone(
    make_world: Any, tmp_path: Path
) -> None:
    often = {"PENSTOCK_API_SERVICES_PAUSE_EXPIRATIONS_LOOP_SECONDS": "0.3"}
    with make_world(tmp_path / "world", env=often) as world:
        agent = world.agent("-q", "queue")
        run = world.run(
            world.deploy("""
            from penstock import suspend_flow_run

            @flow
            def main():
                suspend_flow_run(timeout=3)
            """)
        )
        world.ended(run)  # on a slow machine the time may be over by then
        agent.kill()
        found = world.wait_for(run, StateType.FAILED)
        assert "Suspended" in world.states(run)
        assert found.state is not None
        assert "was suspended, and nobody resumed it" in str(found.state.message)
        answer = world.client.send(flow_runs.resume_flow_run(run.id))
        assert answer.status == "ABORT"
