"""Containers in a network of their own, and a server that wants a key: what they can lose, and what they never show."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

import docker_engine
import pytest
from engine_side import engine_side
from harbour import Harbour

from penstock.client import flow_runs
from penstock.client.sync import SyncClient
from penstock.errors import Conflict
from penstock.infrastructure.variables import ATTEMPT_TOKEN
from penstock.model.reasons import Reason
from penstock.model.states import StateType

if TYPE_CHECKING:
    from tests.journey.conftest import World

KEY = f"the-servers-key-{uuid4().hex}"
SOURCE = """
    @task
    def step(number):
        get_run_logger().info("step %s", number)
        return number

    @flow
    def main(name: str):
        step(1)
        mark(name + "-began")
        wait_for(name + "-on")
        step(2)
        mark(name + "-stepped")
        wait_for(name + "-go")
        return step(3)
"""


@pytest.fixture(scope="module")
def guarded(
    engine: docker_engine.Engine,
    image: str,
    tmp_path_factory: pytest.TempPathFactory,
    make_world: "Callable[..., AbstractContextManager[World]]",
) -> Iterator[Harbour]:
    """A server that is reached from every network and demands a key, and an agent that has it."""
    env = {**engine.env, "PENSTOCK_SERVER_API_HOST": "0.0.0.0", "PENSTOCK_SERVER_API_KEY": KEY}
    with (
        make_world(tmp_path_factory.mktemp("guarded") / "world", env=env) as world,
        engine_side(engine, world.server.api_url) as side,
    ):
        world.agent("-q", "queue", env={"PENSTOCK_API_KEY": KEY})
        yield Harbour(world, side, image)


def _in(network: tuple[str, str], harbour: Harbour, **env: str) -> dict[str, Any]:
    """Fields of a block: containers in that network alone, where the machine has another address."""
    port = urlsplit(harbour.world.server.api_url).port
    return {"networks": [network[0]], "env": {"PENSTOCK_API_URL": f"http://{network[1]}:{port}/api", **env}}


def test_a_container_shows_neither_its_token_nor_the_agents_key_and_its_token_ends_with_it(
    guarded: Harbour, name: str
) -> None:
    world, client = guarded.world, guarded.engine.client
    with guarded.engine.network() as network:
        source = SOURCE + '    print("variables", dict(os.environ))\n'
        run = world.run(guarded.deploy(source, block=_in(network, guarded)), name=name)
        world.wait_for_mark(f"{name}-began")
        container = guarded.engine.container(run)

        def inside(*command: str) -> str:
            made = client.exec_create(container, list(command))
            return str(client.exec_start(made["Id"]).decode(errors="replace"))

        token = inside("cat", "/run/penstock/token").strip()
        assert len(token) > 20
        assert ATTEMPT_TOKEN + "=" not in inside("env")
        processes = inside("sh", "-c", "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline")
        attempt = world.attempts(run)[-1]
        with SyncClient(world.server.api_url, attempt=(attempt.id, token)) as holder:
            assert holder.send(flow_runs.read_flow_run(run.id)).id == run.id
        places = {
            "the engine": guarded.engine.everything_said(container),
            "its processes": processes + inside("env"),
            "its files": inside("sh", "-c", "cat /root/.penstock/* /home/*/.penstock/* 2>/dev/null"),
        }
        world.let(f"{name}-on")
        world.let(f"{name}-go")
        world.wait_for(run, StateType.COMPLETED)
        attempt = world.ended(run)
    places["the attempt"] = attempt.model_dump_json()
    places["the run's log"] = "\n".join(world.logs(run))
    places["the agent"] = "".join(path.read_text() for path in world.server.home.glob("agent-*.log"))
    shown = [
        (place, what)
        for what, secret in (("token", token), ("key", KEY))
        for place in places
        if secret in places[place]
    ]
    assert shown == []
    late = SyncClient(world.server.api_url, attempt=(attempt.id, token))
    with late, pytest.raises(Conflict, match="worth nothing"):
        late.send(flow_runs.read_flow_run(run.id))


def test_a_container_that_loses_its_network_goes_on_and_tells_everything_when_it_has_it_back(
    guarded: Harbour, name: str
) -> None:
    world, client = guarded.world, guarded.engine.client
    with guarded.engine.network() as network:
        # what was on its way is asked again when it has timed out
        block = {**_in(network, guarded, PENSTOCK_API_REQUEST_TIMEOUT="20"), "auto_remove": True}
        run = world.run(guarded.deploy(SOURCE, block=block), name=name)
        world.wait_for_mark(f"{name}-began")
        container = guarded.engine.container(run)
        client.disconnect_container_from_network(container, network[0])
        world.let(f"{name}-on")
        world.wait_for_mark(f"{name}-stepped")
        assert "step 2" not in world.logs(run)
        assert world.read(run).state_type is StateType.RUNNING
        client.connect_container_to_network(container, network[0])
        world.let(f"{name}-go")
        world.wait_for(run, StateType.COMPLETED, timeout=200)
        assert [line for line in world.logs(run) if line.startswith("step")] == ["step 1", "step 2", "step 3"]
        assert len(world.marked(f"{name}-began")) == 1
        guarded.engine.wait_until_gone(run)


def test_a_container_that_never_gets_its_network_back_is_judged_by_what_it_says_itself(
    guarded: Harbour, name: str
) -> None:
    world, client = guarded.world, guarded.engine.client
    with guarded.engine.network() as network:
        # A connection that is cut off without a word is known for dead only when its request has timed out. Before it is
        # cut off, a server that takes its time is not to be taken for one that is lost.
        soon = {
            "PENSTOCK_API_LOSS_SECONDS": "15",
            "PENSTOCK_API_REQUEST_TIMEOUT": "5",
            "PENSTOCK_CLIENT_MAX_RETRIES": "0",
        }
        block = _in(network, guarded, **soon)
        run = world.run(guarded.deploy(SOURCE, block=block), name=name)
        world.wait_for_mark(f"{name}-began")
        client.disconnect_container_from_network(guarded.engine.container(run), network[0])
        world.let(f"{name}-on")
        world.let(f"{name}-go")
        state = world.wait_for(run, StateType.CRASHED, timeout=200).state
        assert state is not None
        assert state.state_details.reason is Reason.API_LOST, world.story(run)
        attempt = world.ended(run)
        assert (attempt.number, attempt.exit and attempt.exit.code) == (1, 69)
        assert [one["State"] for one in guarded.engine.containers(run)] == ["exited"]
