"""The project's image and the docker command, on the engine that tests share."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import docker
import docker_engine
import pytest


@pytest.fixture(scope="session")
def smoke_module() -> Any:
    """images/smoke.py."""
    spec = importlib.util.spec_from_file_location("image_smoke", Path(__file__).parents[3] / "images" / "smoke.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["image_smoke"] = module  # dataclasses look it up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def engine() -> Iterator[docker_engine.Engine]:
    """The shared engine, which the docker command uses as well."""
    docker_engine.docker_program()
    found = docker_engine.engine()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", found.address)
        patch.setenv(
            "DOCKER_BUILDKIT", "0"
        )  # its builder is part of every engine; the other one is a package of its own
        yield found


@pytest.fixture(scope="module")
def client(engine: docker_engine.Engine) -> Iterator[docker.APIClient]:
    with engine.client() as client:
        yield client


@pytest.fixture(scope="session")
def penstock_image() -> str:
    return docker_engine.penstock_image()


@pytest.fixture
def image_name(client: docker.APIClient) -> Iterator[str]:
    """A name for an image, which is gone when the test ends."""
    name = f"penstock-test/made:{uuid4().hex[:12]}"
    yield name
    if client.images(name):
        client.remove_image(name)
