"""Cancelled means gone: no process of the run is left when the state says so."""

from typing import TYPE_CHECKING

import psutil

from penstock.model.reasons import Reason
from penstock.model.states import StateType
from penstock.testing import wait_until

if TYPE_CHECKING:
    from tests.journey.conftest import World

STUBBORN = """
    @flow
    def main():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
        child = subprocess.Popen([sys.executable, "-c", deaf])
        own = subprocess.Popen([sys.executable, "-c", deaf], start_new_session=True)
        mark("stubborn", os.getpid()); mark("stubborn", child.pid); mark("stubborn", own.pid)
        if os.fork() == 0:
            os.setsid()
            if os.fork():
                os._exit(0)
            mark("stubborn", os.getpid())
            time.sleep(600)
            os._exit(0)
        wait_for("never-comes")
"""


def test_cancelled_is_said_when_every_process_is_gone_however_they_hide(world: "World") -> None:
    world.agent("-q", "queue")
    run = world.run(world.deploy(STUBBORN, infra_overrides={"grace_seconds": 1}))
    wait_until(lambda: len(world.marked("stubborn")) == 4, 120)
    pids = [int(pid) for pid in world.marked("stubborn")]
    assert all(psutil.pid_exists(pid) for pid in pids)
    world.wait_for(run, StateType.RUNNING)
    world.cancel(run)
    world.wait_for(run, StateType.CANCELLED)
    alive = [pid for pid in pids if psutil.pid_exists(pid)]
    assert alive == []
    attempt = world.ended(run)
    assert attempt.reason is Reason.CANCELLED
    assert attempt.exit is not None
    assert world.states(run)[-2:] == ["Cancelling", "Cancelled"]


def test_a_polite_flow_gets_to_clean_up(world: "World") -> None:
    world.agent("-q", "queue")
    deployment = world.deploy(
        """
        @flow
        def main():
            try:
                mark("begun")
                wait_for("never-comes")
            finally:
                mark("cleaned")
    """,
        infra_overrides={"grace_seconds": 120},
    )
    run = world.run(deployment)
    world.wait_for_mark("begun")
    world.wait_for(run, StateType.RUNNING)
    world.cancel(run)
    world.wait_for(run, StateType.CANCELLED)
    assert world.marked("cleaned")


def test_a_run_that_nobody_has_taken_is_cancelled_at_once_and_never_starts(world: "World") -> None:
    run = world.run(world.deploy('@flow\ndef main():\n    mark("ran")'))
    world.cancel(run)
    assert world.read(run).state_type is StateType.CANCELLED
    agent = world.agent("-q", "queue", "--run-once")
    assert agent.wait(120) == 0
    assert world.marked("ran") == []


def test_a_cancelled_run_is_stopped_by_the_agent_that_comes_back(world: "World") -> None:
    agent = world.agent("-q", "queue", "--name", "a")
    run = world.run(world.deploy('@flow\ndef main():\n    mark("pid")\n    wait_for("never-comes")'))
    pid = int(world.wait_for_mark("pid")[0])
    world.wait_for(run, StateType.RUNNING)
    agent.kill()
    world.cancel(run)
    assert world.read(run).state_type is StateType.CANCELLING
    agent.restart()
    world.wait_for(run, StateType.CANCELLED)
    assert not psutil.pid_exists(pid)
