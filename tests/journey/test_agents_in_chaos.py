"""Agents die at random and answers get lost, again and again: every run is executed exactly once and accounted for."""

import os
import random
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from penstock.model.states import StateType
from penstock.testing import Fault, FaultProxy

if TYPE_CHECKING:
    from tests.journey.conftest import World

#: What an agent says when it has begun.
UP = "It can run"
SOAK = bool(os.environ.get("PENSTOCK_TEST_SOAK"))
RUNS = 300 if SOAK else 60

#: Notes its begin and its end: one line each if it ran exactly once.
ONCE = """
    @flow
    def main(name: str):
        mark("begin-" + name)
        time.sleep(0.2)
        mark("end-" + name)
        mark("ended", name)
"""


def _kill_launcher(world: "World") -> None:
    """The process that forks the jobs: another one takes its place, and the jobs notice nothing."""
    for process in psutil.process_iter():
        try:
            if process.name() == "penstock-launch" and process.environ().get("PENSTOCK_HOME") == str(world.server.home):
                process.kill()
        except psutil.Error:
            continue


@pytest.mark.timeout(1800)  # its pace is the machine's
@pytest.mark.parametrize(
    "victims",
    [
        pytest.param(["agent"], id="agents"),
        pytest.param(["agent", "launcher"], id="agents-and-launchers"),
        pytest.param(
            ["agent", "agent", "launcher", "server"],
            id="agents-launchers-and-servers",
            marks=pytest.mark.skipif(not SOAK, reason="takes many minutes"),
        ),
    ],
)
def test_every_run_is_executed_exactly_once_whatever_is_killed_and_whatever_answers_are_lost(
    world: "World", victims: list[str]
) -> None:
    chance = random.Random(7)
    with FaultProxy(world.server.api_url, seed=7) as proxy:
        lost = proxy.add(Fault("drop_answer", probability=0.05))
        agents = [
            world.agent("-q", "queue", "--name", f"a{n}", "--limit", "4", env={"PENSTOCK_API_URL": proxy.url})
            for n in range(3)
        ]
        for agent in agents:
            agent.wait_for_output(UP, 240)
        starts = dict.fromkeys(agents, 1)
        deployment = world.deploy(ONCE)
        runs = [world.run(deployment, name=f"r{n}") for n in range(RUNS)]
        pace, kills, ended, progressed = 1.0, 0, 0, time.monotonic()
        while (now_ended := len(world.marked("ended"))) < RUNS:
            if now_ended > ended:
                ended, progressed = now_ended, time.monotonic()
            assert time.monotonic() < progressed + 240 * pace, _left(world, runs)
            time.sleep(pace * chance.uniform(0.2, 1.0))
            match chance.choice(victims):
                case "agent":
                    victim = chance.choice(agents)
                    if victim.output.count(UP) < starts[victim]:
                        # where agents take long to come up, they are killed more seldom: else none would ever do anything
                        pace = min(30.0, 1.5 * pace)
                        continue
                    pace = max(1.0, 0.9 * pace)
                    victim.kill()
                    victim.restart()
                    starts[victim] += 1
                case "launcher":
                    _kill_launcher(world)
                case "server":
                    world.server.kill()
                    world.server.start()
            kills += 1
        proxy.remove(lost)
        for run in runs:
            world.wait_for(run, StateType.COMPLETED)
            attempt = world.ended(run)
            assert (attempt.exit and attempt.exit.code) == 0
        print(f"{RUNS} runs, {kills} kills, {lost.struck} of {proxy.requests} answers lost")
    assert lost.struck
    assert kills
    for n in range(RUNS):
        assert len(world.marked(f"begin-r{n}")) == 1, f"r{n} ran more than once"
        assert world.marked(f"begin-r{n}") == world.marked(f"end-r{n}")


def _left(world: "World", runs: list) -> str:  # type: ignore[type-arg]
    open_runs = [run for run in runs if world.read(run).state_type is not StateType.COMPLETED]
    return f"{len(open_runs)} runs are left, the first:\n{world.story(open_runs[0])}" if open_runs else "none is left"
