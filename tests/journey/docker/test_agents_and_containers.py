"""Agents and engines come and go while containers run: each run is started once, told once, and cleared away."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from itertools import pairwise
from typing import TYPE_CHECKING

import docker_engine
import pytest
from engine_side import engine_side
from harbour import Harbour
from killings import COUNTS, check_it_was_started_once_and_told_once, kill_again_and_again

from penstock.client import agents, flow_runs
from penstock.model.states import StateType
from penstock.testing import Fault, FaultProxy, wait_until

if TYPE_CHECKING:
    from tests.journey.conftest import World

SOAK = bool(os.environ.get("PENSTOCK_TEST_SOAK"))

WAITS = """
    @flow
    def main(name: str):
        mark(name)
        wait_for(name + "-go")
"""


@pytest.fixture
def apart(
    engine: docker_engine.Engine,
    image: str,
    tmp_path_factory: pytest.TempPathFactory,
    make_world: "Callable[..., AbstractContextManager[World]]",
) -> Iterator[Harbour]:
    """A world of its own, without an agent."""
    with (
        make_world(tmp_path_factory.mktemp("apart") / "world", env=engine.env) as world,
        engine_side(engine, world.server.api_url) as side,
    ):
        yield Harbour(world, side, image)


@pytest.mark.parametrize(
    ("kills", "seconds"),
    [
        pytest.param(4, 8.0, id="short"),
        pytest.param(
            20, 60.0, id="long", marks=[pytest.mark.soak, pytest.mark.skipif(not SOAK, reason="takes a minute")]
        ),
    ],
)
def test_a_container_whose_agent_is_killed_again_and_again_is_started_once_and_told_once(
    apart: Harbour, kills: int, seconds: float
) -> None:
    world = apart.world
    agent = world.agent("-q", "queue", "--name", "a")
    run = world.run(apart.deploy(COUNTS, block={"auto_remove": True}), name="r", seconds=seconds)
    kill_again_and_again(world, agent, "r", kills, seconds)
    check_it_was_started_once_and_told_once(world, run, "r", seconds)
    apart.engine.wait_until_gone(run)


def test_a_container_left_by_a_dead_agent_is_swept_by_its_next_life_without_any_new_run(apart: Harbour) -> None:
    world = apart.world
    agent = world.agent("-q", "queue", "--name", "a")
    stubborn = ["sh", "-c", "trap '' TERM; sleep 600 & wait"]
    block = {"cancel_timeout": 0.5, "grace_seconds": 0, "command": stubborn, "auto_remove": True}
    run = world.run(apart.deploy(WAITS, block=block), name="r")
    container = apart.engine.container(run)
    wait_until(lambda: world.attempts(run)[-1].handle, message="its handle is told")
    agent.kill()
    world.cancel(run)
    world.wait_for(run, StateType.CANCELLED)
    assert apart.engine.client.inspect_container(container)["State"]["Running"]
    agent.restart()
    apart.engine.wait_until_gone(run, timeout=240)  # a sweep that takes its time is made seldom


def test_an_agent_that_is_killed_while_an_image_is_fetched_starts_one_container_when_it_is_back(
    apart: Harbour, engine: docker_engine.Engine
) -> None:
    world = apart.world
    with docker_engine.registry() as registry, FaultProxy(f"http://{registry.address}") as proxy:
        registry.push(apart.engine.client, docker_engine.busybox_image(engine), "team/slow:1")
        image = f"127.0.0.1:{proxy.port}/team/slow:1"
        slow = proxy.add(Fault("delay", path="/v2/team/slow/manifests", seconds=600))
        agent = world.agent("-q", "queue", "--name", "a")
        block = {"image": image, "command": ["echo", "it ran"], "auto_remove": True}
        run = world.run(apart.deploy(WAITS, block=block), name="r")
        for _ in range(2):
            waits = wait_until(lambda: (found := world.attempts(run)) and found[-1].waiting_for, 60, "it waits")
            assert waits.startswith(f"the image {image}")
            assert world.attempts(run)[-1].phase == "image"
            agent.kill()
            agent.restart()
        proxy.remove(slow)
        proxy.drop_connections()
        attempt = world.ended(run, timeout=90)
        assert (attempt.number, attempt.exit and attempt.exit.code, attempt.output_tail) == (1, 0, "it ran\n")
        apart.engine.wait_until_gone(run)
        apart.engine.client.remove_image(image, force=True)


@pytest.mark.parametrize("auto_remove", [True, False], ids=["goes", "stays"])
def test_what_a_failed_container_leaves_goes_or_stays_as_its_block_says(apart: Harbour, auto_remove: bool) -> None:
    world = apart.world
    world.agent("-q", "queue")
    source = """
        @flow
        def main():
            os.write(1, b"the last words\\n")
            os._exit(3)
    """
    run = world.run(apart.deploy(source, block={"auto_remove": auto_remove}))
    world.wait_for(run, StateType.CRASHED)
    attempt = world.ended(run)
    assert (attempt.exit and attempt.exit.code) == 3
    assert "the last words" in (attempt.output_tail or "")
    if auto_remove:
        apart.engine.wait_until_gone(run)
    else:
        assert [one["State"] for one in apart.engine.containers(run)] == ["exited"]


def test_an_engine_that_is_killed_and_comes_back_costs_no_run_and_is_not_offered_meanwhile(
    tmp_path_factory: pytest.TempPathFactory, make_world: "Callable[..., AbstractContextManager[World]]"
) -> None:
    """The jobs are plain programs of busybox: what counts is what becomes of their containers."""
    with (
        docker_engine.own_engine() as engine,
        make_world(tmp_path_factory.mktemp("apart") / "world", env=engine.env) as world,
        engine_side(engine, world.server.api_url) as side,
    ):
        agent = world.agent("-q", "queue", "--name", "a")
        harbour = Harbour(world, side, docker_engine.busybox_image(engine))
        once = f"echo it began; mkdir {world.folder}/once 2>/dev/null && sleep 600; echo it ended"
        deployment = harbour.deploy(WAITS, block={"command": ["sh", "-c", once], "auto_remove": True})
        first = world.run(deployment, name="first")
        side.container(first)
        wait_until(lambda: world.attempts(first)[-1].handle, message="its handle is told")
        engine.kill()
        known = wait_until(lambda: world.client.send(agents.read_agents())[0].away, message="the server knows")
        assert "docker-container" in known
        assert world.attempts(first)[-1].status == "STARTED"
        second = world.run(deployment, name="second")
        local = world.run(world.deploy("@flow\ndef main(): pass\n"))
        world.wait_for(local, StateType.COMPLETED)
        assert world.read(second).state_type is StateType.SCHEDULED
        explained = str(world.client.send(flow_runs.explain_flow_run(second.id))["explanation"])
        assert "It needs docker-container, whose platform does not answer" in explained
        engine.start()
        # an engine that is started again ends the containers that it finds, unless it was told to let them live
        wait_until(lambda: len(world.attempts(first)) == 2, 120, "the first run is launched again")
        assert world.attempts(first)[0].reason == "HostRebooted"
        for run, launches in ((first, 2), (second, 1)):
            attempt = world.ended(run, timeout=90)
            assert (attempt.number, attempt.exit and attempt.exit.code) == (launches, 0)
            assert attempt.output_tail == "it began\nit ended\n"
            side.wait_until_gone(run)
        assert agent.running
        told = re.findall("The platform of docker-container jobs (does not answer|answers again)", agent.output)
        # once for each time: an engine that is busy may be away again for a moment
        assert told[0] == "does not answer"
        assert all(one != another for one, another in pairwise(told))
