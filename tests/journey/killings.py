"""Runs that outlive their agents: a flow that counts aloud, and what has to be true of it whoever was killed meanwhile."""

import random
import time
from typing import TYPE_CHECKING

from penstock.model.attempts import Attempt
from penstock.model.flow_runs import FlowRun
from penstock.model.states import StateType
from penstock.testing.agents import TestAgent

if TYPE_CHECKING:
    from tests.journey.conftest import World

COUNTS = """
    @flow(log_prints=True)
    def main(name: str, seconds: float):
        mark(name + "-began")
        until, number = time.monotonic() + seconds, 0
        while time.monotonic() < until:
            number += 1
            print(f"{name} {number}", flush=True)
            os.write(2, f"{name} raw {number}\\n".encode())
            time.sleep(0.1)
        mark(name + "-ended", number)
"""


def kill_again_and_again(world: "World", agent: TestAgent, name: str, kills: int, seconds: float) -> None:
    """Kill and restart the agent while the run called `name`, which takes `seconds`, counts."""
    chance = random.Random(11)
    world.wait_for_mark(f"{name}-began")
    began = time.monotonic()
    for number in range(kills):
        agent.kill()
        agent.restart()
        pause = began + seconds * (number + 1) / (kills + 1) - time.monotonic()
        time.sleep(max(0.05, pause * chance.uniform(0.5, 1.0)))


def check_it_was_started_once_and_told_once(world: "World", run: FlowRun, name: str, seconds: float) -> Attempt:
    """The attempt, once it has ended: one start, every line, the right end."""
    world.wait_for(run, StateType.COMPLETED, timeout=240 + seconds)
    attempt = world.ended(run)
    assert (attempt.number, attempt.exit and attempt.exit.code) == (1, 0)
    assert len(world.marked(f"{name}-began")) == 1
    [count] = world.marked(f"{name}-ended")
    numbers = range(1, int(count) + 1)
    assert [line for line in world.logs(run) if line.startswith(f"{name} ")] == [f"{name} {one}" for one in numbers]
    raw = [line for line in (attempt.output_tail or "").splitlines() if line.startswith(f"{name} raw")]
    assert raw == [f"{name} raw {one}" for one in numbers]
    print(f"{count} lines in {seconds:g} s")
    return attempt
