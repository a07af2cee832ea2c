"""docs/infrastructure-docker.md: its example and its commands run as they stand, and what is rendered is what is made."""

import json
import re
import shlex
from pathlib import Path

import docker_engine
import pytest
import yaml
from cli_process import FLOWS, SameProcess, Terminal

from penstock.infrastructure import DockerContainer
from penstock.infrastructure.docker.body import create_body
from penstock.infrastructure.docker.render import render
from penstock.infrastructure.sample import sample_job
from penstock.testing import TestServer

PAGE = (Path(__file__).parents[3] / "docs" / "infrastructure-docker.md").read_text()
SETTINGS = PAGE[PAGE.index("## Settings") : PAGE.index("## The way to the API")]


@pytest.fixture
def here(running: TestServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A folder with flows.py, with settings that point at the server and at the tests' engine."""
    (tmp_path / "flows.py").write_text(FLOWS)
    monkeypatch.setenv("PENSTOCK_HOME", str(running.home))
    monkeypatch.setenv("PENSTOCK_API_URL", running.api_url)
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
    env = {**docker_engine.engine().env, "DOCKER_CONFIG": str(tmp_path)}
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    return SameProcess({**running.env, **env}, tmp_path)


def test_its_example_and_its_commands_run_as_they_stand(here: Terminal) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    exec(compile(code, "infrastructure-docker.md", "exec"), {})
    (commands,) = re.findall(r"^```console\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    rendered, checked, overridden = (
        here(*shlex.split(line.removeprefix("$ penstock "))) for line in commands.splitlines()
    )
    request = yaml.safe_load(rendered.out)
    assert request["create"]["image"] == "registry.example.com/team/flows:1"
    assert (request["host_config"]["mem_limit"], request["host_config"]["nano_cpus"]) == (2 * 1024**3, 1_500_000_000)
    assert "the Docker engine at" in checked.out
    other = yaml.safe_load(overridden.out)
    assert other["host_config"]["nano_cpus"] == 2 * 10**9
    assert other["host_config"]["ulimits"] == [{"Name": "nofile", "Soft": 4096, "Hard": 4096}]
    assert other["raw"]["HostConfig"] == {"OomScoreAdj": 500}


def test_it_names_every_field_once_by_what_it_is_about() -> None:
    (table,) = re.findall(r"^\| about .*?\n\n", SETTINGS, re.MULTILINE | re.DOTALL)
    fields = [name for row in table.splitlines()[2:] if row for name in re.findall(r"`(\w+)`", row.split("|")[2])]
    assert sorted(fields) == sorted({*DockerContainer.model_fields} - {"type"})


def test_what_is_rendered_for_a_deployment_is_what_the_engine_is_sent_with_masks_in_place_of_secrets(
    here: Terminal, running: TestServer
) -> None:
    image = docker_engine.busybox_image()
    overrides = {"cpus": 0.5, "env.DB_PASSWORD": "hunter2", "ports": ["127.0.0.1::80"], "config.Hostname": "worker"}
    words = [word for name, value in overrides.items() for word in ("--override", f"{name}={_text(value)}")]
    build = ["-n", "seen", "-i", "docker-container", "--override", f"image={image}", *words, "--code", "image", "-a"]
    here.ok("deployment", "build", "flows.py:hello", *build)
    shown = yaml.safe_load(here.ok("deployment", "render", "hello/seen").out)
    assert "hunter2" not in json.dumps(shown)
    block = DockerContainer(
        image=image, cpus=0.5, env={"DB_PASSWORD": "hunter2"}, ports=["127.0.0.1::80"], config={"Hostname": "worker"}
    )
    job = sample_job(running.api_url, {}, flow_name="hello", deployment_name="seen")
    with docker_engine.engine().client() as client:
        sent = create_body(client, render(block, job))
        body = create_body(client, shown)
    theirs, ours = ({entry.partition("=")[0] for entry in one.pop("Env")} for one in (sent, body))
    assert ours == theirs
    sent["Labels"].pop("penstock.io/deployment-updated", None)
    body["Labels"].pop("penstock.io/deployment-updated", None)
    assert body == sent


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
