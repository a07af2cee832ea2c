"""Images that come late, or with a login: what becomes of the runs that wait for them."""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING
from uuid import uuid4

import docker_engine
import pytest
from docker_registry import Registry
from engine_side import EngineSide, engine_side
from harbour import Harbour

from penstock.blocks.credentials.docker_registry import DockerRegistry
from penstock.model.reasons import Phase, Reason
from penstock.model.states import StateType
from penstock.testing import Fault, FaultProxy, wait_until

if TYPE_CHECKING:
    from tests.journey.conftest import World

FLOW = """
    @flow
    def main():
        pass
"""


@pytest.fixture(scope="module")
def once(
    engine: docker_engine.Engine,
    tmp_path_factory: pytest.TempPathFactory,
    make_world: "Callable[..., AbstractContextManager[World]]",
) -> Iterator[Harbour]:
    """A world whose runs are launched once, in an image that has no engine of Penstock's in it."""
    env = {**engine.env, "PENSTOCK_INFRA_RETRIES": "0"}
    with (
        make_world(tmp_path_factory.mktemp("once") / "world", env=env) as world,
        engine_side(engine, world.server.api_url) as side,
    ):
        world.agent("-q", "queue")
        yield Harbour(world, side, docker_engine.busybox_image())


@contextlib.contextmanager
def _unique_image(side: EngineSide, base: str) -> Iterator[str]:
    """The id of an image with a layer that no other has."""
    made = side.client.create_container(base, ["sh", "-c", f"head -c 300000 /dev/urandom > /{uuid4().hex}"])["Id"]
    side.client.start(made)
    side.client.wait(made)
    image = side.client.commit(made, changes='CMD ["sh"]')["Id"]
    side.client.remove_container(made)
    try:
        yield image
    finally:
        with contextlib.suppress(docker_engine.docker.errors.ImageNotFound):
            side.client.remove_image(image, force=True)


def _has(side: EngineSide, reference: str) -> bool:
    return bool(side.client.images(reference))


def test_an_image_that_is_there_only_after_the_start_limit_never_runs_anything(once: Harbour) -> None:
    world, side = once.world, once.engine
    name = f"late-{uuid4().hex[:8]}"
    with docker_engine.registry() as registry, FaultProxy(f"http://{registry.address}") as proxy:
        with _unique_image(side, once.image) as image:
            registry.push(side.client, image, f"{name}:1")
        slow = proxy.add(Fault("delay", method="GET", path=".*/blobs/", seconds=20))
        reference = f"127.0.0.1:{proxy.port}/{name}:1"
        block = {
            "image": reference,
            "command": ["sh", "-c", f"echo ran > {world.probes()}/{name}"],
            "start_timeout": 12,  # it passes before the image is there, and not before the image is asked for
            "image_pull_policy": "ALWAYS",
        }
        run = world.run(once.deploy(FLOW, block=block))
        state = world.wait_for(run, StateType.CRASHED).state
        assert state is not None
        assert (state.state_details.phase, state.state_details.reason) == (Phase.IMAGE, Reason.START_TIMEOUT)
        wait_until(lambda: slow.struck, message="its layers were asked for")
        world.ended(run)
        proxy.clear()
        side.client.pull(reference)  # waits for what is under way of it
        assert _has(side, reference)
        assert side.containers(run) == []
        assert world.marked(name) == []
        side.client.remove_image(reference, force=True)


def test_runs_fetch_their_images_side_by_side_each_with_the_login_of_its_own_block(once: Harbour) -> None:
    world, side = once.world, once.engine
    users = [("ada", "pw-of-ada"), ("grace", "pw-of-grace")]
    with contextlib.ExitStack() as stack:
        runs = {}
        for user, password in users:
            registry: Registry = stack.enter_context(docker_engine.registry({user: password}))
            image = stack.enter_context(_unique_image(side, once.image))
            reference = registry.push(side.client, image, f"private-{user}:1")
            for title, said in ((user, password), (f"not-{user}", "wrong")):
                login = DockerRegistry(username=user, password=said, registry_url=registry.address)  # type: ignore[arg-type]
                block = {
                    "image": reference,
                    "image_registry": login,
                    "image_pull_policy": "ALWAYS",
                    "command": ["echo", title],
                }
                runs[title] = world.run(once.deploy(FLOW, block=block))
        for user, password in users:
            world.wait_for(runs[user], StateType.CRASHED)
            fetched = world.ended(runs[user])  # the image has no Penstock in it: what it printed shows that it ran
            assert (fetched.reason, (fetched.output_tail or "").strip()) == (Reason.EXITED, user)
            world.wait_for(runs[f"not-{user}"], StateType.CRASHED)
            refused = world.ended(runs[f"not-{user}"])
            assert refused.reason is Reason.IMAGE_NOT_PERMITTED
            assert side.containers(runs[f"not-{user}"]) == []
            told = fetched.model_dump_json() + refused.model_dump_json()
            assert password not in told
