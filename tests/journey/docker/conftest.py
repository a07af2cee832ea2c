"""Worlds whose flows run in containers, on the engine that tests share."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import docker_engine
import pytest
from engine_side import engine_side
from harbour import Harbour

if TYPE_CHECKING:
    from tests.journey.conftest import World


@pytest.fixture(scope="session")
def engine() -> docker_engine.Engine:
    """The engine that tests share."""
    return docker_engine.engine()


@pytest.fixture(scope="session")
def image() -> str:
    """The name of the project's own image, made of this checkout."""
    return docker_engine.penstock_image()


@pytest.fixture(scope="module")
def harbour(
    engine: docker_engine.Engine,
    image: str,
    tmp_path_factory: pytest.TempPathFactory,
    make_world: "Callable[..., AbstractContextManager[World]]",
) -> Iterator[Harbour]:
    """A world with one agent on "queue", for the tests of a module that leave it as it is."""
    with (
        make_world(tmp_path_factory.mktemp("harbour") / "world", env=engine.env) as world,
        engine_side(engine, world.server.api_url) as side,
    ):
        world.agent("-q", "queue", "--name", "harbour")
        yield Harbour(world, side, image)
