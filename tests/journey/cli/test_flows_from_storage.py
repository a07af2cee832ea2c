"""Code that was uploaded with `deployment build -sb TYPE/NAME/PATH` runs where nothing of it is left but the storage."""

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cli_process import SameProcess, known_agent
from stores import TYPES, Stores, stores

from penstock.client import deployments, flow_runs, logs
from penstock.model.deployments import Deployment
from penstock.model.flow_runs import DeploymentFlowRunCreate
from penstock.testing import TestServer, server, wait_until

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


@pytest.fixture(scope="module")
def serving(running: TestServer, every_store: Stores) -> Iterator[None]:
    """An agent whose jobs can reach every store."""
    with contextlib.suppress(pytest.skip.Exception):
        every_store.block("gcs")  # its address stands in the environment
    with known_agent(running, "-q", "storage", env=every_store.env):
        yield


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


def read(running: TestServer, name: str) -> Deployment:
    with running.client() as client:
        return client.send(deployments.read_deployment_by_name(f"report/{name}"))


@pytest.mark.parametrize("slug", TYPES)
@pytest.mark.usefixtures("serving")
def test_a_run_needs_nothing_but_the_storage(
    slug: str, running: TestServer, every_store: Stores, save: Callable[[Any], str], tmp_path: Path
) -> None:
    reference = save(every_store.block(slug))
    project, name = write_project(tmp_path / "my project"), f"from-{slug}"
    terminal = SameProcess({**running.env, **every_store.env}, project)
    what = ("flows/report.py:report", "-n", name, "-q", "storage", "-sb", f"{reference}/v/1", "-a", "--no-check")
    assert "\tno\t" not in terminal.ok("block", "check", reference).out
    assert "Uploaded 4 files" in terminal.ok("deployment", "build", *what).err
    shutil.rmtree(project)
    deployment = read(running, name)
    assert (deployment.path, deployment.entrypoint) == ("v/1", "flows/report.py:report")
    with running.client() as client:
        run = client.send(flow_runs.create_flow_run_from_deployment(deployment.id, DeploymentFlowRunCreate()))
        wait_until(lambda: client.send(flow_runs.read_flow_run(run.id)).state.is_final(), 150, "the run is over")
        wanted = {"flow_run_id": {"any_": [str(run.id)]}}
        lines = [line.message for line in client.send(logs.read_logs(log_filter=wanted, limit=200))]
        assert client.send(flow_runs.read_flow_run(run.id)).state_name == "Completed", lines
    told = "\n".join(lines)
    assert "the total is 12" in told
    assert str(project) not in told
    # the flow, its module, its data and the ignore file; neither notes nor secrets
    assert any(line.startswith("4 files, ") and "/v/1 in " in line for line in lines), told


#: Where somebody may stand, and how the flow is named from there: the folder relative to the project's, and the file.
PLACES = {
    "project": (".", "flows/report.py"),
    "subfolder": ("flows", "report.py"),
    "parent": ("..", "my project/flows/report.py"),
    "absolute": (".", "{project}/flows/report.py"),
    "linked folder": ("../link to project", "flows/report.py"),
    "linked flows": ("../linking", "flows/report.py"),
}


@pytest.mark.parametrize("slug", ["local-file-system", "s3", "smb", "remote-file-system"])
def test_code_that_was_built_anywhere_is_loaded_in_an_empty_folder(
    slug: str, running: TestServer, every_store: Stores, save: Callable[[Any], str], tmp_path: Path
) -> None:
    reference = save(every_store.block(slug))
    project = write_project(tmp_path / "home" / "my project")
    (tmp_path / "home" / "link to project").symlink_to(project)
    (tmp_path / "home" / "linking").mkdir()
    (tmp_path / "home" / "linking" / "flows").symlink_to(project / "flows")
    names = {}
    for number, (place, (folder, file)) in enumerate(PLACES.items()):
        names[place] = f"{slug}-{number}"
        command = (
            f"{file.format(project=project)}:report",
            "-n",
            names[place],
            "-sb",
            f"{reference}/{number}",
            "-a",
            "--no-check",
        )
        built = SameProcess({**running.env, **every_store.env}, project / folder)(*("deployment", "build", *command))
        assert built.code == 0, (place, built)
    shutil.rmtree(tmp_path / "home")
    found = [read(running, name) for name in names.values()]
    assert not [deployment.entrypoint for deployment in found if Path(str(deployment.entrypoint)).is_absolute()]
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda deployment: loaded(running, every_store, deployment, tmp_path), found))
    assert {place: answer.get("flow", answer) for place, answer in zip(names, answers, strict=True)} == dict.fromkeys(
        PLACES, "report"
    )


def test_a_flow_that_would_not_be_uploaded_is_refused_when_it_is_built(
    running: TestServer, every_store: Stores, save: Callable[[Any], str], tmp_path: Path
) -> None:
    block = every_store.block("local-file-system")
    reference, project = save(block), write_project(tmp_path / "project")
    (tmp_path / "elsewhere").mkdir()
    elsewhere = SameProcess({**running.env}, tmp_path / "elsewhere")
    refused = elsewhere("deployment", "build", f"{project}/flows/report.py:report", "-n", "x", "-sb", f"{reference}/x")
    assert refused.code != 0
    assert f"does not lie in {tmp_path / 'elsewhere'}" in refused.err
    (project / ".penstockignore").write_text("flows/own_module.py\n")
    at_home = SameProcess({**running.env}, project)
    refused = at_home("deployment", "build", "flows/report.py:report", "-n", "x", "-sb", f"{reference}/y")
    assert refused.code != 0
    assert "own_module" in refused.err
    assert not Path(block.basepath, "x").exists()


def loaded(running: TestServer, every_store: Stores, deployment: Deployment, folder: Path) -> dict[str, Any]:
    """What the engine's own loader says of the deployment in a new interpreter and an empty folder."""
    from penstock.blocks.reading import claimed_document
    from penstock.client import block_documents

    assert deployment.storage_document_id is not None
    with running.client() as client:
        call = block_documents.read_block_document(deployment.storage_document_id, include_secrets=True)
        storage = claimed_document(client.send(call))
    empty = folder / f"empty-{uuid4().hex[:8]}"
    empty.mkdir()
    order = {
        "entrypoint": deployment.entrypoint,
        "path": deployment.path,
        "storage": storage.model_dump(mode="json"),
        "parameters": {},
    }
    done = subprocess.run(
        [sys.executable, "-m", "penstock.engine.code_check"],
        cwd=empty,
        env={**running.env, **every_store.env},
        input=json.dumps(order),
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found
