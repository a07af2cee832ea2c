"""docs/docker-how-to.md: its commands run as they stand, in the image of this checkout, and what it names exists."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import docker_engine
import pytest
from engine_side import engine_side
from projects import Project

from penstock.cli.run import command
from penstock.infrastructure import DockerContainer
from penstock.model.reasons import Reason
from penstock.testing import TestServer, agent, server, wait_until

PAGE = (Path(__file__).parents[3] / "docs" / "docker-how-to.md").read_text()
CODE = {
    text.splitlines()[0].removeprefix("# "): text for text in re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)
}


@pytest.fixture(scope="module")
def running(engine: docker_engine.Engine) -> Iterator[TestServer]:
    with server(env=engine.env) as found, engine_side(engine, found.api_url), agent(found, "-q", "default"):
        yield found


def test_its_commands_run_as_they_stand(running: TestServer, image: str, tmp_path: Path) -> None:
    project = Project(tmp_path / "project", running.env)
    for name, text in CODE.items():
        (project.folder / name).write_text(text)
    subprocess.run([sys.executable, "block.py"], env=project.env, cwd=project.folder, check=True)
    lines = [shlex.split(line) for line in re.findall(r"^\$ penstock (.*)$", PAGE, re.M)]
    assert [line[0] for line in lines] == ["run", "deployment", "deployment", "deployment", "flow-run"]
    said = {"run flows.py:hello": ["--image", image], "deployment build": ["--override", f"image={image}"]}
    for line in lines:
        done = project.ok(*line, *said.get(" ".join(line[:2]), []))
        if line[0] == "run":
            assert "hello Ada" in done.stdout
            assert "in a container: True" in done.stdout
    with running.client() as client:
        wait_until(
            lambda: [run.state_name for run in client.read_flow_runs()] == ["Completed"] * 2,
            message="both are Completed",
        )


def test_what_it_names_exists() -> None:
    options = {name for option in command.params for name in option.opts}
    assert set(re.findall(r"\| `(--[a-z-]+)", PAGE)) <= options
    for field in (
        "gpus",
        "runtime",
        "shm_size",
        "volumes",
        "tmpfs",
        "user",
        "read_only",
        "networks",
        "dns",
        "extra_hosts",
    ):
        assert field in DockerContainer.model_fields
        assert field in PAGE
    table = PAGE[PAGE.index("| reason |") :]
    reasons = {name for row in re.findall(r"^\| (`[A-Z].*?) \|", table, re.M) for name in re.findall(r"`(\w+)`", row)}
    assert len(reasons) > 8
    assert reasons <= {reason.value for reason in Reason}
