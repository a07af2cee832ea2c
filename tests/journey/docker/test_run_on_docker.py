"""`penstock run FILE:FLOW --on docker`, where nothing else is set up but an engine and an image."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import docker_engine
import pytest
from engine_side import EngineSide, engine_side
from projects import Project

from penstock.client import flow_runs
from penstock.model.flow_runs import FlowRun
from penstock.testing import TestServer, server, wait_until


@pytest.fixture(scope="module")
def running() -> Iterator[TestServer]:
    with server() as found:
        yield found


class Here:
    """A project, and `penstock run … --on docker` in it."""

    def __init__(self, project: Project, image: str) -> None:
        self.project, self.image = project, image

    def arguments(self, *arguments: str, image: str | None = None) -> list[str]:
        return ["run", *arguments, "--on", "docker", "--image", self.image if image is None else image]

    def run(self, *arguments: str, image: str | None = None, **env: str) -> "subprocess.CompletedProcess[str]":
        return self.project(*self.arguments(*arguments, image=image), **env)


@pytest.fixture
def here(running: TestServer, engine: docker_engine.Engine, image: str, tmp_path: Path) -> Here:
    return Here(Project(tmp_path / "project", {**running.env, **engine.env}), image)


@pytest.fixture
def side(running: TestServer, engine: docker_engine.Engine) -> Iterator[EngineSide]:
    with engine_side(engine, running.api_url) as found:
        yield found


def _runs(running: TestServer) -> list[FlowRun]:
    """All runs of the server, the newest first."""
    with running.client() as client:
        return client.send(flow_runs.read_flow_runs(sort="EXPECTED_START_TIME_DESC"))


def test_a_flow_with_what_lies_beside_it_runs_in_a_container_that_is_gone_afterwards(
    here: Here, running: TestServer, side: EngineSide
) -> None:
    done = here.run("flows.py:hello", "-p", "name=you", "--override", "env.LEVEL=debug")
    assert done.returncode == 0, done
    assert "hello you, says a file" in done.stdout
    assert "in a container: True debug" in done.stdout
    assert "Completed" in done.stderr
    assert side.containers() == []
    assert _runs(running)[0].infrastructure_pid


@pytest.mark.parametrize(
    ("flow", "code", "said"),
    [("fails", 10, ["UserCodeRaised", "no good"]), ("crashes", 11, ["Exited", "about to die"])],
)
def test_the_exit_code_and_the_last_lines_say_how_the_run_ended(
    here: Here, flow: str, code: int, said: list[str]
) -> None:
    done = here.run(f"flows.py:{flow}")
    assert done.returncode == code, done
    assert [words for words in said if words not in done.stdout + done.stderr] == []


def test_ctrl_c_cancels_the_run_and_waits_until_its_container_is_gone(
    here: Here, running: TestServer, side: EngineSide, tmp_path: Path
) -> None:
    with (tmp_path / "said").open("w+") as said:
        started = subprocess.Popen(
            here.project.command(*here.arguments("flows.py:waits")),
            env=here.project.env,
            cwd=here.project.folder,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
        try:
            wait_until(lambda: "waiting" in (tmp_path / "said").read_text(), 60, "the flow runs")
            started.send_signal(signal.SIGINT)
            code = started.wait(60)
        finally:
            if started.poll() is None:
                started.kill()
                started.wait()
    text = (tmp_path / "said").read_text()
    assert code == 12, text
    assert "Cancelling" in text
    run = _runs(running)[0]
    assert run.state_name == "Cancelled"
    assert side.containers(run) == []


def test_an_engine_that_is_not_there_is_told_in_one_error_before_anything_is_asked_for(
    here: Here, running: TestServer, tmp_path: Path
) -> None:
    before = len(_runs(running))
    done = here.run("flows.py:hello", DOCKER_HOST=f"unix://{tmp_path}/nobody.sock")
    assert done.returncode not in (0, 10, 11), done
    assert f"{tmp_path}/nobody.sock" in done.stderr
    assert done.stderr.count("error:") == 1
    assert "hint:" in done.stderr
    assert len(_runs(running)) == before


def test_a_missing_package_is_told_with_the_extra_that_brings_it(here: Here, tmp_path: Path) -> None:
    hidden = tmp_path / "hidden" / "docker"
    hidden.mkdir(parents=True)
    (hidden / "__init__.py").write_text("raise ModuleNotFoundError(\"No module named 'docker'\", name='docker')\n")
    done = here.run("flows.py:hello", PYTHONPATH=str(hidden.parent))
    assert done.returncode != 0
    assert "penstock[docker]" in done.stderr
    assert done.stderr.count("error:") == 1


def test_an_image_that_is_not_there_ends_the_run_with_the_reason_and_the_way_out(here: Here, side: EngineSide) -> None:
    done = here.run("flows.py:hello", "--override", "image_pull_policy=never", image="penstock-test/nobody-made-this:1")
    assert done.returncode == 11, done
    assert "ImageNotFound" in done.stderr
    assert "penstock-test/nobody-made-this:1" in done.stderr
    assert side.containers() == []


def test_an_image_is_refused_where_there_is_none(here: Here) -> None:
    done = here.project("run", "flows.py:hello", "--on", "process", "--image", "any:1")
    assert done.returncode == 2
    assert "image" in done.stderr


def test_a_server_is_started_along_with_it_when_none_is_set(here: Here, tmp_path: Path) -> None:
    alone = {key: value for key, value in here.project.env.items() if key != "PENSTOCK_API_URL"}
    here.project.env = {**alone, "PENSTOCK_HOME": str(tmp_path / "home"), "PENSTOCK_EPHEMERAL_IDLE_SECONDS": "10"}
    done = here.run("flows.py:hello")
    assert done.returncode == 0, done
    assert "hello world, says a file" in done.stdout
    assert os.path.isdir(tmp_path / "home")
