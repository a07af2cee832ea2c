"""docs/applying.md: its commands run as they stand, and do what the page says of them."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

from cli_process import SameProcess

from penstock.cli.deployment_apply import apply
from penstock.server.rules.applying import FIELDS
from penstock.testing import TestServer

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "applying.md").read_text()
CODE = re.compile(r"^```python\n# (\S+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_the_commands_run_as_they_stand(running: TestServer, tmp_path: Path) -> None:
    for name, code in CODE.findall((DOCS / "deployments.md").read_text()) + CODE.findall(PAGE):
        (tmp_path / name).write_text(code)
    here = SameProcess(running.env, tmp_path)
    (tmp_path / "deployments").mkdir()
    for file in ("other.yaml", "deployments/one.yaml"):
        name = Path(file).stem
        here.ok("deployment", "build", "greet.py:greet", "-n", f"page-{name}", "-o", file, "--no-check")
    lines = re.findall(r"^\$ penstock (.*)$", PAGE, re.MULTILINE)
    done = [here(*shlex.split(line)) for line in lines]
    assert [one.code for one in done] == [7 if "--diff" in line else 0 for line in lines], done
    second, dry, diff = done[3:6]
    assert "Nothing to change in the deployment 'greet/nightly'." in second.err
    assert "= schedules[0 12 * * *].schedule: " in second.err
    assert "Nothing to change" in dry.err
    assert "changed elsewhere; last applied" in diff.out
    subprocess.run([sys.executable, "deploy.py"], env=here.env, cwd=here.folder, check=True, timeout=200)
    assert here.ok("deployment", "inspect", "greet/from-python", "-o", "json").json["tags"] == ["team-a"]


def test_it_names_every_option_and_every_field() -> None:
    names = {name for option in apply.own for name in option.opts if name.startswith("-")}
    assert [name for name in sorted(names - {"--limit"}) if f"`{name}" not in PAGE and f" {name}" not in PAGE] == []
    assert [name for name in (*FIELDS, "schedules") if f"`{name}`" not in PAGE and name != "pull_steps"] == []
