"""A real client of Prefect 2.20 speaks to a real Penstock server: its users can move over one machine at a time."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.client import concurrency_limits, flow_runs, task_runs
from penstock.model.concurrency_limits import GlobalConcurrencyLimitCreate
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
    with server(env={"PENSTOCK_TASK_RUN_TAG_CONCURRENCY_SLOT_WAIT_SECONDS": "1"}) as running:
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


#: Tasks of Prefect 2 with a limited tag and with slots of a named limit; it checks itself that no limit was exceeded.
SLOTS = """
import threading, time
from prefect import flow, task
from prefect.concurrency.sync import concurrency, rate_limit

class Witness:
    inside = most = visits = 0
    lock = threading.Lock()
    def __enter__(self):
        with self.lock:
            self.inside += 1
            self.visits += 1
            self.most = max(self.most, self.inside)
    def __exit__(self, *_):
        with self.lock:
            self.inside -= 1

tagged, named = Witness(), Witness()

@task(tags=["database"])
def limited(n):
    with tagged:
        time.sleep(0.2)

@task
def licensed(n):
    rate_limit("calls")
    with concurrency("licenses", occupy=1):
        with named:
            time.sleep(0.05)
    with concurrency("no-such-limit"):
        pass

@flow
def working():
    for future in limited.map(range(3)) + licensed.map(range(5)):
        future.result()

working()
assert (tagged.visits, tagged.most) == (3, 1), (tagged.visits, tagged.most)
assert (named.visits, named.most <= 2) == (5, True), (named.visits, named.most)
"""


def test_its_tag_limits_and_named_limits_hold(prefect2: tuple[TestServer, dict[str, str], Path]) -> None:
    running, env, folder = prefect2
    (folder / "slots.py").write_text(SLOTS)
    _run("prefect", "concurrency-limit", "create", "database", "1", env=env, folder=folder)
    _run("prefect", "gcl", "create", "licenses", "--limit", "2", env=env, folder=folder)
    with running.client() as client:
        rate = GlobalConcurrencyLimitCreate(name="calls", limit=5, slot_decay_per_second=20)
        client.send(concurrency_limits.create_global_concurrency_limit(rate))
        _run("python", "slots.py", env=env, folder=folder)
        tag = client.send(concurrency_limits.read_concurrency_limit_by_tag("database"))
        named = client.send(concurrency_limits.read_global_concurrency_limit_by_name("licenses"))
        assert (tag.active_slots, named.active_slots) == ([], 0)
        _run("prefect", "gcl", "update", "licenses", "--limit", "7", "--disable", env=env, folder=folder)
        named = client.send(concurrency_limits.read_global_concurrency_limit_by_name("licenses"))
        assert (named.limit, named.active) == (7, False)
