"""`penstock run FILE:FLOW --on docker`, where nothing else is set up but an engine and an image."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import docker_engine
import pytest
from elsewhere import Elsewhere, RunElsewhere, check_it_is_told_before_anything_is_asked_for
from engine_side import EngineSide, engine_side
from projects import Project

from penstock.model.flow_runs import FlowRun
from penstock.testing import TestServer, server


@pytest.fixture(scope="module")
def running() -> Iterator[TestServer]:
    with server() as found:
        yield found


@pytest.fixture
def elsewhere(running: TestServer, engine: docker_engine.Engine, image: str, tmp_path: Path) -> Elsewhere:
    project = Project(tmp_path / "project", {**running.env, **engine.env})
    return Elsewhere(project, running, ["--on", "docker", "--image", image])


@pytest.fixture
def side(running: TestServer, engine: docker_engine.Engine) -> Iterator[EngineSide]:
    with engine_side(engine, running.api_url) as found:
        yield found


class TestRunOnDocker(RunElsewhere):
    package, extra = "docker", "docker"

    @pytest.fixture
    def what_goes_on(self, side: EngineSide) -> Callable[[FlowRun], Sequence[object]]:
        return side.containers


def test_a_flow_with_what_lies_beside_it_runs_in_a_container_that_is_gone_afterwards(
    elsewhere: Elsewhere, side: EngineSide
) -> None:
    done = elsewhere.run("flows.py:hello", "-p", "name=you", "--override", "env.LEVEL=debug")
    assert done.returncode == 0, done
    assert "hello you, says a file" in done.stdout
    assert "in a container: True debug" in done.stdout
    assert "Completed" in done.stderr
    assert side.containers() == []
    assert elsewhere.runs()[0].infrastructure_pid


def test_an_engine_that_is_not_there_is_told_in_one_error_before_anything_is_asked_for(
    elsewhere: Elsewhere, tmp_path: Path
) -> None:
    nobody = f"{tmp_path}/nobody.sock"
    check_it_is_told_before_anything_is_asked_for(elsewhere, nobody, DOCKER_HOST=f"unix://{nobody}")


def test_an_image_that_is_not_there_ends_the_run_with_the_reason_and_the_way_out(
    elsewhere: Elsewhere, side: EngineSide
) -> None:
    done = elsewhere.run(
        "flows.py:hello", "--image", "penstock-test/nobody-made-this:1", "--override", "image_pull_policy=never"
    )
    assert done.returncode == 11, done
    assert "ImageNotFound" in done.stderr
    assert "penstock-test/nobody-made-this:1" in done.stderr
    assert side.containers() == []


def test_an_image_is_refused_where_there_is_none(elsewhere: Elsewhere) -> None:
    done = elsewhere.project("run", "flows.py:hello", "--on", "process", "--image", "any:1")
    assert done.returncode == 2
    assert "image" in done.stderr


def test_a_server_is_started_along_with_it_when_none_is_set(elsewhere: Elsewhere, own_home: Path) -> None:
    alone = {key: value for key, value in elsewhere.project.env.items() if key != "PENSTOCK_API_URL"}
    elsewhere.project.env = {**alone, "PENSTOCK_HOME": str(own_home)}
    done = elsewhere.run("flows.py:hello")
    assert done.returncode == 0, done
    assert "hello world, says a file" in done.stdout
    assert own_home.is_dir()
