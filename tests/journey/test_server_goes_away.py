"""The server is killed, restarted, or cut off: runs go on, nothing is lost, nothing runs twice."""

import os
from typing import TYPE_CHECKING

from penstock import clock
from penstock.model.states import StateType
from penstock.testing import FaultProxy, wait_until

if TYPE_CHECKING:
    from tests.journey.conftest import World

#: Seconds that the API is cut off: give 900 to see that a quarter of an hour costs nothing (and pytest `-o timeout=1500`).
AWAY_SECONDS = int(os.environ.get("PENSTOCK_TEST_AWAY_SECONDS") or (60 if os.environ.get("PENSTOCK_TEST_SOAK") else 10))

COUNTS = """
    @task
    def step(n):
        mark("steps", n)
        return n

    @flow
    def main(steps: int = 40):
        mark("began")
        for n in range(steps):
            get_run_logger().info("line %d", n)
            step(n)
            time.sleep(0.1)
        wait_for("go")
        mark("done")
"""


def _is_whole(world: "World", run: object, steps: int) -> None:
    assert world.marked("steps") == [str(n) for n in range(steps)]
    lines = [line for line in world.logs(run) if line.startswith("line ")]  # type: ignore[arg-type]
    assert lines == [f"line {n}" for n in range(steps)]
    assert len(world.marked("done")) == 1


def test_a_server_killed_in_mid_run_and_started_again_has_the_whole_story(world: "World") -> None:
    world.agent("-q", "queue")
    run = world.run(world.deploy(COUNTS))
    wait_until(lambda: len(world.marked("steps")) >= 5, 120)
    world.server.kill()
    wait_until(lambda: len(world.marked("steps")) >= 20, 120)
    world.server.start()
    world.let("go")
    world.wait_for(run, StateType.COMPLETED)
    _is_whole(world, run, 40)
    attempt = world.ended(run)
    assert (attempt.exit and attempt.exit.code, attempt.number) == (0, 1)


def test_a_run_ends_while_the_server_is_down_and_is_known_when_it_is_back(world: "World") -> None:
    world.agent("-q", "queue")
    deployment = world.deploy("""
        @flow
        def main():
            mark("began")
            wait_for("go")
            print("said while nobody listened")
            sys.stdout.flush()
            mark("ended")
            os._exit(5)
    """)
    run = world.run(deployment)
    world.wait_for_mark("began")
    world.wait_for(run, StateType.RUNNING)
    world.server.kill()
    world.let("go")
    world.wait_for_mark("ended")
    world.server.start()
    world.wait_for(run, StateType.CRASHED)
    attempt = world.ended(run)
    assert attempt.exit is not None
    assert attempt.exit.code == 5
    assert "said while nobody listened" in (attempt.output_tail or "")


def test_a_partition_from_the_api_costs_a_run_nothing(world: "World") -> None:
    with FaultProxy(world.server.api_url) as proxy:
        world.agent("-q", "queue", env={"PENSTOCK_API_URL": proxy.url})
        run = world.run(world.deploy(COUNTS))
        wait_until(lambda: len(world.marked("steps")) >= 5, 120)
        proxy.partition()
        until = clock.monotonic() + AWAY_SECONDS
        wait_until(lambda: clock.monotonic() > until, AWAY_SECONDS + 60)
        wait_until(lambda: len(world.marked("steps")) == 40, 120, "the flow goes on")
        proxy.partition(False)
        world.let("go")
        world.wait_for(run, StateType.COMPLETED)
        _is_whole(world, run, 40)
        attempt = world.ended(run)
        assert (attempt.exit and attempt.exit.code, attempt.number) == (0, 1)


def test_an_agent_started_before_its_server_begins_to_work_when_that_is_there(world: "World") -> None:
    world.server.stop()
    agent = world.agent("-q", "queue")
    agent.wait_for_output("no usable answer")
    world.server.start()
    run = world.run(world.deploy('@flow\ndef main():\n    mark("ran")'))
    world.wait_for(run, StateType.COMPLETED)
