"""Code that containers get: as a bundle, out of S3, or in their image. They share no disk with anybody."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import docker
import docker_engine
import pytest
from engine_side import EngineSide, engine_side
from projects import Project
from stores import Stores, stores

from penstock.client import flow_runs
from penstock.testing import TestServer, agent, server

QUEUE = "containers"


@pytest.fixture(scope="module")
def running(engine: docker_engine.Engine) -> Iterator[TestServer]:
    with server(env=engine.env) as found, agent(found, "-q", QUEUE):
        yield found


@pytest.fixture(scope="module")
def side(running: TestServer, engine: docker_engine.Engine) -> Iterator[EngineSide]:
    with engine_side(engine, running.api_url) as found:
        yield found


@pytest.fixture
def project(running: TestServer, tmp_path: Path) -> Project:
    return Project(tmp_path / "project", running.env)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    with stores(tmp_path_factory.mktemp("stores")) as found:
        yield found


@contextlib.contextmanager
def _image_with(client: docker.APIClient, base: str, folder: Path, place: str, change: str) -> Iterator[str]:
    """The name of an image that has the files of `folder` at `place` beyond those of `base`."""
    archive = folder.parent / f"{folder.name}.tar"
    subprocess.run(["tar", "-C", str(folder), "-cf", str(archive), "."], check=True)
    made = client.create_container(
        base,
        ["python", "-c", "import os; os.makedirs(os.environ['PLACE'], exist_ok=True)"],
        environment={"PLACE": place},
        user="root",
        entrypoint=[],
    )["Id"]
    name = f"penstock-test/with-{uuid4().hex[:10]}:1"
    try:
        client.start(made)
        assert client.wait(made)["StatusCode"] == 0, client.logs(made)
        with archive.open("rb") as file:
            client.put_archive(made, place, file)
        before = client.inspect_image(base)["Config"]
        back = {key: before.get(key) for key in ("User", "Entrypoint", "Cmd", "WorkingDir")}
        client.commit(made, *name.split(":"), changes=change, conf=back)
    finally:
        client.remove_container(made, force=True)
    try:
        yield name
    finally:
        client.remove_image(name, force=True)


def _build(project: Project, flow: str, image: str, *more: str) -> str:
    name = f"d-{uuid4().hex[:8]}"
    project.ok(
        "deployment", "build", f"flows.py:{flow}", "-n", name, "-q", QUEUE, "-i", "docker-container",
        "--override", f"image={image}", *more, "--no-check", "-a",
    )  # fmt: skip
    return f"{flow}/{name}"


def test_code_travels_as_a_bundle_unless_something_else_is_said(project: Project, image: str, side: EngineSide) -> None:
    deployment = _build(project, "hello", image)
    done = project.ok("deployment", "run", deployment, "--watch", "-p", "name=bundle")
    assert "hello bundle, says a file" in project.ok("flow-run", "logs", "@latest").stdout
    assert "Completed" in done.stderr


def test_code_and_results_lie_in_s3(project: Project, image: str, running: TestServer, store: Stores) -> None:
    block = store.block("s3")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PENSTOCK_API_URL", running.api_url)
        block.save("code")
        store.block("s3").save("results")
        deployment = _build(project, "kept", image, "-sb", "s3/code/flows")
        project.ok("deployment", "run", deployment, "--watch", "-p", "name=s3")
        told = json.loads(project.ok("flow-run", "inspect", "@latest", "-o", "json").stdout)
        with running.client() as client:
            state = client.send(flow_runs.read_flow_run(told["id"])).state
        assert state is not None
        reading = (
            "from penstock.client import get_sync_client, flow_runs; import sys\n"
            "with get_sync_client() as client:\n"
            "    print(client.send(flow_runs.read_flow_run(sys.argv[1])).state.result())\n"
        )
        said = subprocess.run(
            [sys.executable, "-c", reading, told["id"]], env=project.env, capture_output=True, text=True, check=True
        )
    assert said.stdout.strip() == "hello s3, says a file"


def test_code_lies_in_the_image(project: Project, image: str, side: EngineSide) -> None:
    with _image_with(side.client, image, project.folder, "/opt/penstock/flows", "LABEL penstock.test=code") as name:
        deployment = _build(project, "hello", name, "--code", "image")
        project.ok("deployment", "run", deployment, "--watch", "-p", "name=image")
        assert "hello image, says a file" in project.ok("flow-run", "logs", "@latest").stdout
