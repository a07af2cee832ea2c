"""Code that was uploaded with `deployment build -sb TYPE/NAME/PATH` runs where nothing of it is left but the storage."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from stores import TYPES, Stores, stores

from penstock.client import deployments, flow_runs, logs
from penstock.model.deployments import Deployment
from penstock.model.flow_runs import DeploymentFlowRunCreate
from penstock.testing import TestServer, agent, server, wait_until

FLOW = """
from pathlib import Path

from penstock import flow, get_run_logger

import own_module


@flow
def report(factor: int = 2):
    numbers = Path(__file__).with_name("data").joinpath("numbers.txt").read_text()
    result = own_module.total(numbers) * factor
    get_run_logger().info("the total is %s, code in %s", result, Path(own_module.__file__).parent)
    assert result == 12
"""
MODULE = "def total(text): return sum(map(int, text.split()))\n"


@pytest.fixture(scope="module")
def running() -> Iterator[TestServer]:
    with server() as found:
        yield found


@pytest.fixture(scope="module")
def every_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    with stores(tmp_path_factory.mktemp("stores")) as found:
        yield found


@pytest.fixture
def save(running: TestServer, monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], str]:
    """Saves a block on the server; returns ``type/name``."""
    monkeypatch.setenv("PENSTOCK_HOME", str(running.home))
    monkeypatch.setenv("PENSTOCK_API_URL", running.api_url)

    def saved(block: Any) -> str:
        name = f"code-{uuid4().hex[:8]}"
        block.save(name)
        return f"{block.get_block_type_slug()}/{name}"

    return saved


def write_project(folder: Path) -> Path:
    """A flow with a module and a file of data beside it; and what must not travel."""
    (folder / "flows" / "data").mkdir(parents=True)
    (folder / "flows" / "report.py").write_text(FLOW)
    (folder / "flows" / "own_module.py").write_text(MODULE)
    (folder / "flows" / "data" / "numbers.txt").write_text("1 2 3")
    (folder / ".env").write_text("PASSWORD=hunter2")
    (folder / "notes").mkdir()
    (folder / "notes" / "private.txt").write_text("private")
    (folder / ".prefectignore").write_text("notes/\n.env\n")
    return folder


def build(
    running: TestServer, every_store: Stores, folder: Path, *arguments: str, env: dict[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "penstock.cli", "deployment", "build", *arguments],
        cwd=folder,
        env={**running.env, **every_store.env, **(env or {})},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def read(running: TestServer, name: str) -> Deployment:
    with running.client() as client:
        return client.send(deployments.read_deployment_by_name(f"report/{name}"))


@pytest.mark.parametrize("slug", TYPES)
def test_a_run_needs_nothing_but_the_storage(
    slug: str, running: TestServer, every_store: Stores, save: Callable[[Any], str], tmp_path: Path
) -> None:
    reference = save(every_store.block(slug))
    project, name = write_project(tmp_path / "my project"), f"from-{slug}"
    built = build(
        running, every_store, project, "flows/report.py:report", "-n", name, "-q", name, "-sb", f"{reference}/v/1", "-a"
    )
    assert built.returncode == 0, built.stderr
    shutil.rmtree(project)
    deployment = read(running, name)
    assert (deployment.path, deployment.entrypoint) == ("v/1", "flows/report.py:report")
    with agent(running, "-q", name, env=every_store.env), running.client() as client:
        run = client.send(flow_runs.create_flow_run_from_deployment(deployment.id, DeploymentFlowRunCreate()))
        wait_until(lambda: client.send(flow_runs.read_flow_run(run.id)).state.is_final(), 60, "the run is over")
        wanted = {"flow_run_id": {"any_": [str(run.id)]}}
        lines = [line.message for line in client.send(logs.read_logs(log_filter=wanted, limit=200))]
        assert client.send(flow_runs.read_flow_run(run.id)).state_name == "Completed", lines
    told = "\n".join(lines)
    assert "the total is 12" in told
    assert str(project) not in told
    # the flow, its module, its data and the ignore file; neither notes nor secrets
    assert any(line.startswith("4 files, ") and "/v/1 in " in line for line in lines), told
