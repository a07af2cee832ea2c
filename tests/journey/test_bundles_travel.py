"""Code that travels by itself: packed where a deployment is built, fetched once by the machine that runs it."""

import gzip
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from penstock.deployments import Deployment
from penstock.errors import CodeError
from penstock.model.flow_runs import FlowRun
from penstock.model.states import StateType
from penstock.storage import bundle_cache
from penstock.storage.bundle import pack_project
from penstock.testing import Fault, FaultProxy

if TYPE_CHECKING:
    from tests.journey.conftest import World

FLOW = """\
from pathlib import Path

from penstock import flow

from local_package.greeting import greeting


@flow
def main(mark: str = "documented"):
    data = Path("data/names.txt")
    Path({probes!r}, mark).write_text(greeting(data.read_text().strip()) + " " + str(Path.cwd()))
    data.write_text("changed by a run")
"""


def project(world: "World") -> Path:
    """A folder with a flow, a package beside it, and a file of data."""
    folder = world.folder / f"project-{uuid4().hex[:6]}"
    (folder / "local_package").mkdir(parents=True)
    (folder / "data").mkdir()
    (folder / "flow.py").write_text(FLOW.format(probes=str(world.probes())))
    (folder / "local_package" / "__init__.py").touch()
    (folder / "local_package" / "greeting.py").write_text("def greeting(name):\n    return f'hello {name}'\n")
    (folder / "data" / "names.txt").write_text("world")
    return folder


@pytest.fixture
def builder(world: "World", tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "World":
    """The world, whose server this process speaks to from a machine of its own: it shares no home with the agent."""
    monkeypatch.setenv("PENSTOCK_API_URL", world.server.api_url)
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "builder"))
    return world


@pytest.fixture
def proxy(builder: "World") -> Iterator[FaultProxy]:
    """What stands between the agent with its jobs and the server."""
    with FaultProxy(builder.server.api_url) as standing:
        # many short waits: what is tried is how often, not how long
        env = {"PENSTOCK_API_URL": standing.url, "PENSTOCK_CLIENT_RETRY_SECONDS": "0.1"}
        agent = builder.agent("-q", "queue", "-q", "default", env=env)
        yield standing
        agent.kill()  # while it can still be reached: its end would wait for the server


def deployed(folder: Path) -> Deployment:
    """A deployment of the folder's flow, without the folder."""
    fields = {"flow_name": "main", "entrypoint": "flow.py:main", "work_queue_name": "queue"}
    made = Deployment(name=folder.name, storage=pack_project(folder).bundle, **fields)
    made.apply()
    folder.rename(folder.with_name(f"{folder.name}-moved"))
    return made


def started(world: "World", deployment: Deployment, mark: str) -> FlowRun:
    found = world.client.read_deployment_by_name(f"main/{deployment.name}")
    return world.run(found, mark=mark)


def penstock(*arguments: str, exit_code: int = 0) -> str:
    """What the command says, which has to end with that code."""
    command = [sys.executable, "-m", "penstock.cli", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert ended.returncode == exit_code, ended.stderr
    return ended.stdout + ended.stderr


def downloads() -> Fault:
    """Strikes each download, and does it no harm: to count them."""
    return Fault("delay", method="GET", path=".*/bundles/")


def test_a_deployment_built_on_the_command_line_brings_its_code_along(
    builder: "World", proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = project(builder)
    (folder / ".env").write_text("PASSWORD=x")
    monkeypatch.chdir(folder)

    said = penstock("deployment", "build", "flow.py:main", "-n", "d", "-q", "queue", "--code", "bundle", "-a")
    assert "4 files" in said
    again = penstock("deployment", "apply", "main-deployment.yaml")
    assert "main/d" in again
    digest = penstock("bundle", "ls", "-o", "name").strip()
    assert "main/d" in penstock("bundle", "inspect", digest[7:15])
    monkeypatch.chdir(builder.folder)
    folder.rename(folder.with_name("moved away"))
    counted = proxy.add(downloads())
    deployment = builder.client.read_deployment_by_name("main/d")
    for mark in ("first", "second"):
        run = builder.wait_for(builder.run(deployment, mark=mark), StateType.COMPLETED)
        greeting, _, place = (builder.probes() / mark).read_text().rpartition(" ")
        assert greeting == "hello world", "what an earlier run has changed in its files is not seen by a later one"
        assert Path(place) != folder
        builder.ended(run)
    assert counted.struck == 1, "a machine fetches a bundle once"
    assert "used by main/d" in penstock("bundle", "delete", digest, exit_code=6)
    penstock("deployment", "delete", "main/d")
    assert "Deleted the bundle" in penstock("bundle", "delete", digest[7:15])
    assert penstock("bundle", "ls", "-o", "name") == ""
    assert "no bundle" in penstock("bundle", "inspect", digest[7:15], exit_code=3)
    assert "four of its digits" in penstock("bundle", "inspect", "x", exit_code=2)


def test_the_commands_of_the_page_about_flow_code_do_what_it_says(
    builder: "World", proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = Path(__file__).parents[2] / "docs" / "flow-code.md"
    commands = [line.split()[2:] for line in page.read_text().splitlines() if line.startswith("$ penstock ")]
    assert [command[1] for command in commands] == ["build", "apply", "run", "ls"]
    monkeypatch.chdir(project(builder))
    said = [penstock(*command) for command in commands]
    assert (builder.probes() / "documented").read_text().startswith("hello world ")
    assert "sha256:" in said[0]
    assert "sha256:" in said[3]


def test_a_download_that_breaks_off_is_begun_anew_until_it_is_whole(builder: "World", proxy: FaultProxy) -> None:
    folder = project(builder)
    (folder / "noise").write_bytes(os.urandom(2_000_000))
    deployment = deployed(folder)
    faults = [
        Fault("cut_answer", path=".*/bundles/", after_bytes=1_500_000, times=2),
        Fault("status", path=".*/bundles/", status=503, times=2),
        Fault("cut", path=".*/bundles/", times=9),
        Fault("drop_answer", path=".*/bundles/", times=1),
    ]
    for fault in faults:
        proxy.add(fault)
    run = started(builder, deployment, "patient")
    builder.wait_for(run, StateType.COMPLETED)
    assert [fault.struck for fault in faults] == [2, 2, 9, 1]
    assert (builder.probes() / "patient").read_text().startswith("hello world ")
    assert len(builder.attempts(run)) == 1


def test_an_archive_that_was_tampered_with_runs_nothing_and_the_run_says_so(
    builder: "World", proxy: FaultProxy
) -> None:
    deployment = deployed(project(builder))
    with sqlite3.connect(builder.server.home / "penstock.db") as database:
        (part,) = database.execute("select content from bundle_part").fetchone()
        other = gzip.compress(gzip.decompress(part).replace(b"hello", b"howdy"))
        database.execute("update bundle_part set content = ?", (other,))
        database.execute("update bundle set archive_size = ?", (len(other),))
    database.close()
    run = builder.wait_for(started(builder, deployment, "tampered"), StateType.FAILED)
    assert run.state is not None
    assert run.state.state_details.reason == "CodeNotFound"
    assert "is not what its digest says" in str(run.state.message)
    assert not builder.marked("tampered")


def test_a_damaged_copy_on_the_machine_that_runs_it_is_fetched_anew(
    builder: "World", proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment = deployed(project(builder))
    counted = proxy.add(downloads())
    builder.wait_for(started(builder, deployment, "before"), StateType.COMPLETED)
    monkeypatch.setenv("PENSTOCK_HOME", str(builder.server.home))
    (kept,) = bundle_cache.folder().glob("*.tar")
    kept.write_bytes(kept.read_bytes().replace(b"hello", b"howdy"))
    runs = [started(builder, deployment, f"after-{number}") for number in range(4)]
    for number, run in enumerate(runs):
        builder.wait_for(run, StateType.COMPLETED)
        assert (builder.probes() / f"after-{number}").read_text().startswith("hello world ")
    assert counted.struck == 2, "of jobs that want it at the same time, one fetches it"


def test_applying_elsewhere_needs_the_same_files(
    builder: "World", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = project(builder)
    packed = pack_project(folder)
    made = Deployment(name="d", flow_name="main", entrypoint="flow.py:main", storage=packed.bundle)
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "another machine"))
    monkeypatch.chdir(folder)
    (folder / "flow.py").write_text("changed = True\n")
    with pytest.raises(CodeError, match=r"the files in .* are other ones by now") as refused:
        made.apply()
    assert refused.value.code == "bundle_changed"
    (folder / "flow.py").write_text(FLOW.format(probes=str(builder.probes())))
    made.apply()
    assert [found.digest for found in builder.client.read_bundles()] == [packed.bundle.digest]
