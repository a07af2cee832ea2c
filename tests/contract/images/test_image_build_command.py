"""`penstock image build`: what it builds works, and what cannot be built is said."""

import re
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import docker
import docker_engine
import pytest

PAGE = Path(__file__).parents[3] / "docs" / "images.md"

FLOW = """
from penstock import flow
import penstock_smoke_package

@flow
def answer():
    return penstock_smoke_package.ANSWER
"""


@pytest.fixture
def project(tmp_path: Path, smoke_module: Any) -> Path:
    """A folder with requirements, that need no index, and flows."""
    name = smoke_module.wheel_name()
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "answers.py").write_text(FLOW)
    (tmp_path / "flows" / ".penstockignore").write_text("*.csv\n")
    (tmp_path / "flows" / "data.csv").write_text("1,2\n")
    (tmp_path / name).write_bytes(smoke_module.wheel())
    # with a line of its own, so that no other build shares layers with it, and takes them away while they are in use
    (tmp_path / "requirements.txt").write_text(f"--no-index\n# {uuid4().hex}\n./{name}\n")
    return tmp_path


def _penstock(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "penstock.cli", *arguments]
    return subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True)


def test_the_image_that_it_builds_runs_the_flows_with_their_packages(
    engine: docker_engine.Engine, penstock_image: str, project: Path, image_name: str
):
    options = ["-r", "requirements.txt", "--flows", "flows", "--base", penstock_image, "-t", image_name]
    built = _penstock(project, "image", "build", *options, "-o", "name")
    assert (built.returncode, built.stdout) == (0, f"{image_name}\n"), built.stderr
    code = "import sys; sys.path.insert(0, 'flows'); import answers; print(answers.answer())"
    run = [docker_engine.docker_program(), "run", "--rm", "--network", "none", image_name]
    assert subprocess.run([*run, "python", "-c", code], capture_output=True, text=True, check=True).stdout == "42\n"
    assert subprocess.run([*run, "ls", "flows"], capture_output=True, text=True, check=True).stdout == "answers.py\n"


def test_an_edit_of_a_flow_installs_no_packages_again(
    engine: docker_engine.Engine, penstock_image: str, project: Path, image_name: str
):
    options = ["-r", "requirements.txt", "--flows", "flows", "--base", penstock_image, "-t", image_name]
    assert _penstock(project, "image", "build", *options).returncode == 0
    (project / "flows" / "answers.py").write_text("# another\n")
    again = _penstock(project, "image", "build", *options)
    assert again.returncode == 0, again.stderr
    assert "Using cache" in again.stderr
    assert "Successfully installed" not in again.stderr


def test_it_is_pushed_where_its_name_says(client: docker.APIClient, image_name: str, project: Path):
    # small, so that little is pushed: any base does in which `python` knows Penstock
    small = f"FROM {docker_engine.busybox_image()}\nRUN echo '#!/bin/sh' > /bin/python && chmod 0755 /bin/python\n"
    assert "error" not in str(list(client.build(fileobj=BytesIO(small.encode()), tag=image_name, rm=True, decode=True)))
    with docker_engine.registry() as registry:
        name = f"{registry.address}/team/flows:1"
        built = _penstock(project, "image", "build", "--flows", "flows", "--base", image_name, "-t", name, "--push")
        try:
            assert built.returncode == 0, built.stderr
            assert "PUT /v2/team/flows/manifests/1 " in registry.output
        finally:
            if client.images(name):
                client.remove_image(name)


def test_a_package_that_there_is_not_fails_the_build_with_the_words_of_pip(
    engine: docker_engine.Engine, penstock_image: str, project: Path, image_name: str
):
    (project / "requirements.txt").write_text("--no-index\nsurely-no-such-package==1\n")
    options = ["-r", "requirements.txt", "--base", penstock_image, "-t", image_name]
    built = _penstock(project, "image", "build", *options)
    assert built.returncode == 1
    assert "No matching distribution found for surely-no-such-package==1" in built.stderr
    assert f"error: The image {image_name} was not built: `docker build` ended with exit code" in built.stderr


def test_an_image_without_penstock_is_not_built(engine: docker_engine.Engine, project: Path, image_name: str):
    base = docker_engine.python_image()
    built = _penstock(project, "image", "build", "--flows", "flows", "--base", base, "-t", image_name)
    assert built.returncode == 1
    assert "was not built" in built.stderr


def test_an_engine_that_is_not_there_is_named(tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch):
    docker_engine.docker_program()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")
    built = _penstock(project, "image", "build", "--flows", "flows", "-t", "a:1", "--program", "docker")
    assert built.returncode == 1
    assert "docker reaches no engine" in built.stderr
    assert "nobody.sock" in built.stderr


def test_without_docker_and_podman_the_dockerfile_is_still_printed(project: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(project))
    built = _penstock(project, "image", "build", "--flows", "flows", "-t", "a:1")
    assert built.returncode == 1
    assert "no docker and no podman on PATH" in built.stderr
    printed = _penstock(project, "image", "build", "--flows", "flows", "--dry-run")
    assert (printed.returncode, printed.stderr) == (0, "")
    assert printed.stdout.startswith("FROM penstock/penstock:")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "There is nothing to put into the image."),
        (("-r", "requirements.txt"), "The image has no name."),
        (("-r", "requirements.txt", "-t", "Team/Flows x"), "names no image"),
        (("-r", "requirements.txt", "-t", "a@sha256:" + "0" * 64), "has a digest"),
        (("-r", "requirements.txt", "-t", "a", "--base", "B"), "--base: 'B' names no image"),
        (("-r", "requirements.txt", "-t", "a", "--python", "3"), "is no version such as 3.12"),
        (("-r", "requirements.txt", "-t", "a", "--python", "3.12", "--base", "b"), "exclude each other"),
        (("-r", "missing.txt", "-t", "a"), "'missing.txt' does not exist"),
        (("--flows", "requirements.txt", "-t", "a"), "is a file"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_built(project: Path, arguments: tuple[str, ...], said: str):
    built = _penstock(project, "image", "build", *arguments)
    assert built.returncode == 2
    assert said in built.stderr


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.mark.parametrize("block", [block for block in _blocks("console") if len(block.splitlines()) > 1])
def test_the_page_shows_what_is_printed(block: str, project: Path):
    first, _, shown = block.partition("\n")
    done = _penstock(project, *first.removeprefix("$ penstock ").split())
    assert (done.returncode, done.stdout) == (0, shown), done.stderr


def test_the_dockerfile_of_the_page_builds(
    engine: docker_engine.Engine, penstock_image: str, project: Path, image_name: str, smoke_module: Any
):
    (text,) = _blocks("dockerfile")
    wheel = smoke_module.wheel_name()
    text = re.sub(r"^FROM .*", f"FROM {penstock_image}\nCOPY {wheel} .", text)
    (project / "Dockerfile").write_text(text)
    command = [docker_engine.docker_program(), "build", "--network", "none", "--tag", image_name, "."]
    built = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    run = [docker_engine.docker_program(), "run", "--rm", "--network", "none", image_name]
    command = [*run, "sh", "-c", "touch /data/x && ls flows && id -u"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "answers.py\ndata.csv\n1000\n"
