"""A real client of Prefect 2.20 speaks to a real Penstock server: its users can move over one machine at a time."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.client import flow_runs, task_runs
from penstock.testing import TestServer, server

BIN = Path(__file__).parents[3] / ".venv-prefect2" / "bin"

FLOWS = """
from prefect import flow, get_run_logger, task

tries = []

@task(retries=2, retry_delay_seconds=0)
def flaky(n):
    tries.append(n)
    if len(tries) < 3:
        raise ValueError("not yet")
    return n + 1

@flow
def inner(x):
    return flaky(x)

@flow(name="outer", log_prints=True)
def outer(x: int = 1):
    print("said by the flow")
    return inner(flaky.submit(x))

@flow(name="failing")
def failing():
    raise RuntimeError("on purpose")

if __name__ == "__main__":
    assert outer(1) == 3
    assert failing(return_state=True).is_failed()
"""


@pytest.fixture
def prefect2(tmp_path: Path) -> Iterator[tuple[TestServer, dict[str, str], Path]]:
    """A server, the environment of a Prefect 2 client that speaks to it, and a folder with FLOWS in flows.py."""
    if not (BIN / "prefect").exists():
        message = "there is no client of Prefect 2 here (tests/services/install brings it)"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    (tmp_path / "flows.py").write_text(FLOWS)
    with server() as running:
        env = {name: value for name, value in os.environ.items() if not name.startswith(("PENSTOCK_", "PREFECT_"))}
        env |= {"PREFECT_API_URL": running.api_url, "PREFECT_HOME": str(tmp_path / "home"), "NO_COLOR": "1"}
        yield running, env, tmp_path


def _run(program: str, *arguments: str, env: dict[str, str], folder: Path) -> str:
    result = subprocess.run(
        [BIN / program, *arguments], env=env, cwd=folder, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


def test_its_flows_tasks_retries_and_subflows_are_kept(prefect2: tuple[TestServer, dict[str, str], Path]) -> None:
    running, env, folder = prefect2
    _run("python", "flows.py", env=env, folder=folder)
    with running.client() as client:
        runs = client.send(flow_runs.read_flow_runs())
        flows = {run.id: client.read_flow(run.flow_id).name for run in runs}
        states = sorted((flows[run.id], str(run.state_name)) for run in runs)
        tasks = client.send(task_runs.read_task_runs())
        logs = [log.message for log in client.read_logs()]
    assert states == [("failing", "Failed"), ("inner", "Completed"), ("outer", "Completed")]
    assert sorted(task.state_name or "" for task in tasks) == ["Completed"] * 3
    assert max(task.run_count for task in tasks) == 3
    assert "said by the flow" in logs


def test_its_deployments_runs_and_agent_work(prefect2: tuple[TestServer, dict[str, str], Path]) -> None:
    running, env, folder = prefect2
    build = ("deployment", "build", "flows.py:outer", "-n", "moved", "-q", "old", "-i", "process", "--apply")
    _run("prefect", *build, env=env, folder=folder)
    assert "outer/moved" in _run("prefect", "deployment", "ls", env=env, folder=folder)
    _run("prefect", "deployment", "run", "outer/moved", "-p", "x=5", env=env, folder=folder)
    _run("prefect", "agent", "start", "-q", "old", "--run-once", env=env, folder=folder)
    with running.client() as client:
        (run,) = [run for run in client.send(flow_runs.read_flow_runs()) if run.deployment_id is not None]
    assert (run.state_name, run.parameters, run.work_queue_name) == ("Completed", {"x": 5}, "old")


def test_its_blocks_queues_and_pools_are_kept(prefect2: tuple[TestServer, dict[str, str], Path]) -> None:
    _, env, folder = prefect2
    program = (
        "from prefect.blocks.system import Secret; from prefect.infrastructure import Process\n"
        "Secret(value='s3cret').save('mine'); assert Secret.load('mine').get() == 's3cret'\n"
        "Process(env={'A': '1'}).save('local'); assert Process.load('local').env == {'A': '1'}\n"
    )
    _run("python", "-c", program, env=env, folder=folder)
    listed = _run("prefect", "block", "ls", env=env, folder=folder)
    assert "secret/mine" in listed
    assert "process/local" in listed
    assert "s3cret" not in _run("prefect", "block", "inspect", "secret/mine", env=env, folder=folder)
    _run("prefect", "work-queue", "create", "fast", "-l", "3", env=env, folder=folder)
    assert "fast" in _run("prefect", "work-queue", "ls", env=env, folder=folder)
    _run("prefect", "work-pool", "create", "mine", "--type", "process", env=env, folder=folder)
    assert "mine" in _run("prefect", "work-pool", "ls", env=env, folder=folder)


#: What a flow of Prefect 2 does with variables and artifacts; it checks itself that what it reads is what it wrote.
NOUNS = """
from prefect import flow, task
from prefect.artifacts import (
    create_link_artifact, create_markdown_artifact, create_table_artifact
)
from prefect.variables import Variable

@task
def report(rows):
    create_table_artifact(rows, key="rows", description="a table")

@flow
def leaves():
    assert Variable.get("moved") is None
    Variable.set("moved", "1", tags=["a"])
    try:
        Variable.set("moved", "2")
    except ValueError:
        Variable.set("moved", "2", overwrite=True)
    assert Variable.get("moved").value == "2"
    create_markdown_artifact("# first", key="words")
    create_markdown_artifact("# second", key="words")
    create_link_artifact("http://a/b", link_text="here", key="link")
    report([{"a": 1, "b": float("nan")}])

leaves()
"""


def test_its_variables_and_artifacts_are_kept(prefect2: tuple[TestServer, dict[str, str], Path]) -> None:
    running, env, folder = prefect2
    (folder / "nouns.py").write_text(NOUNS)
    _run("python", "nouns.py", env=env, folder=folder)
    with running.client() as client:
        (run,) = client.send(flow_runs.read_flow_runs())
        latest = {one.key: one for one in client.read_latest_artifacts()}
        tasks = client.send(task_runs.read_task_runs())
        everything = client.count_artifacts(flow_run_filter={"id": {"any_": [str(run.id)]}})
    assert {key: one.data for key, one in latest.items()} == {
        "link": "[here](http://a/b)",
        "rows": '[{"a": 1, "b": null}]',
        "words": "# second",
    }
    assert everything == 4
    assert [latest["rows"].task_run_id] == [task.id for task in tasks]
    inspected = _run("prefect", "artifact", "inspect", "words", env=env, folder=folder)
    assert inspected.index("# second") < inspected.index("# first")
    assert "moved" in _run("prefect", "variable", "ls", env=env, folder=folder)
