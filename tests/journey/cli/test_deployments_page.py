"""docs/deployments.md: its examples run as they stand, and it names every option of `deployment build`."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from cli_process import SameProcess, Terminal, known_agent

from penstock.cli.deployment_build import build
from penstock.sdk import deployment_yaml
from penstock.testing import TestServer, wait_until

PAGE = (Path(__file__).parents[3] / "docs" / "deployments.md").read_text()


@pytest.fixture
def here(running: TestServer, tmp_path: Path) -> Terminal:
    """A folder with the Python files of the page."""
    for code in re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL):
        (tmp_path / code.splitlines()[0].removeprefix("# ")).write_text(code)
    return SameProcess(running.env, tmp_path)


def test_the_examples_run_as_they_stand(here: Terminal, running: TestServer) -> None:
    lines = re.findall(r"^\$ penstock (.*)$", PAGE, re.MULTILINE)
    assert len(lines) == 4
    for line in lines:
        here.ok(*shlex.split(line))
    subprocess.run([sys.executable, "deploy.py"], env=here.env, cwd=here.folder, check=True, timeout=200)
    assert here.ok("deployment", "ls", "-o", "name").out.split() == ["greet/from-python", "greet/nightly"]
    with known_agent(running, "-q", "default"), running.client() as client:
        wait_until(
            lambda: any(run.state_name == "Completed" for run in client.read_flow_runs()), 150, "the run has completed"
        )


def test_it_names_every_option_and_every_key() -> None:
    names = {name for option in build.params for name in (*option.opts, *option.secondary_opts)} - {"entrypoint"}
    short = {"--name", "--description", "--version", "--tag", "--work-queue", "--pool", "--limit", "--infra"}
    own = {"--infra-block", "--storage-block", "--output", "--apply", "--no-enforce-parameter-schema", "-o"}
    of_every_command = {name for name in names if re.search(rf"`{re.escape(name)}\b", PAGE) is None}
    assert of_every_command - short - own <= {"--fields", "--format", "--quiet", "--verbose", "--color", "-v", "-q", "--help", "-h"}  # fmt: skip
    assert [key for key in deployment_yaml.KNOWN if f"`{key}`" not in PAGE] == []
