"""Code in a git repository runs at the commit that its branch is at; the log says at which."""

import os
import shutil
from pathlib import Path

import pytest
from cli_process import SameProcess
from git_server import git, git_host, make_repository

from penstock.client import deployments, flow_runs, logs
from penstock.filesystems import GitRepository
from penstock.model.flow_runs import DeploymentFlowRunCreate
from penstock.testing import agent, server, wait_until

if shutil.which("git") is None and not os.environ.get("CI"):
    pytest.skip("the git program is not installed", allow_module_level=True)

FLOW = "from penstock import flow\nimport own_module\n\n\n@flow(log_prints=True)\ndef told():\n    print(own_module.TEXT)\n"


def test_runs_follow_the_branch_of_a_private_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"etl/told.py": FLOW, "etl/own_module.py": "TEXT = 'first'\n", "docs/readme": ""}
    origin = make_repository(tmp_path / "served" / "origin", files)
    with git_host(origin.parent, "git:hunter2-token") as host, server() as running, agent(running, "-q", "git"):
        monkeypatch.setenv("PENSTOCK_HOME", str(running.home))
        monkeypatch.setenv("PENSTOCK_API_URL", running.api_url)
        GitRepository(repository=f"{host.url}/origin/.git", reference="main", access_token="hunter2-token").save("team")
        checkout = tmp_path / "checkout"
        git(tmp_path, "clone", "-q", str(origin), str(checkout))
        terminal = SameProcess(running.env, checkout / "etl")
        terminal.ok(
            "deployment", "build", "told.py:told", "-n", "git", "-q", "git", "-sb", "git-repository/team/etl", "-a"
        )
        with running.client() as client:
            deployment = client.send(deployments.read_deployment_by_name("told/git"))
            for text in ("first", "second"):
                (origin / "etl" / "own_module.py").write_text(f"TEXT = {text!r}\n")
                git(origin, "commit", "-q", "--allow-empty", "-am", text)
                run = client.send(flow_runs.create_flow_run_from_deployment(deployment.id, DeploymentFlowRunCreate()))
                wait_until(lambda: client.send(flow_runs.read_flow_run(run.id)).state.is_final(), 150)  # noqa: B023
                wanted = {"flow_run_id": {"any_": [str(run.id)]}}
                lines = [line.message for line in client.send(logs.read_logs(log_filter=wanted, limit=200))]
                assert client.send(flow_runs.read_flow_run(run.id)).state_name == "Completed", lines
                assert text in lines
                assert any(line.endswith(f"is at commit {git(origin, 'rev-parse', 'HEAD')}") for line in lines), lines
                assert "hunter2" not in "\n".join(lines)
