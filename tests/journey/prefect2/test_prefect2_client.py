"""A real client of Prefect 2.20 speaks to a real Penstock server: its users can move over one machine at a time."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest
from prefect2_machine import BIN, Prefect2Machine, prefect2_machine

from penstock.client import concurrency_limits, flow_runs, task_runs
from penstock.model.concurrency_limits import GlobalConcurrencyLimitCreate
from penstock.model.flow_runs import FlowRun
from penstock.testing import TestServer, server

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


@dataclass(frozen=True)
class Moved:
    """A server, and a machine of Prefect 2 that speaks to it."""

    running: TestServer
    machine: Prefect2Machine

    def runs(self) -> list[FlowRun]:
        with self.running.client() as client:
            return client.send(flow_runs.read_flow_runs())


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moved]:
    if not (BIN / "prefect").exists():
        message = "there is no client of Prefect 2 here (tests/services/install brings it)"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    with (
        server(env={"PENSTOCK_TASK_RUN_TAG_CONCURRENCY_SLOT_WAIT_SECONDS": "1"}) as running,
        prefect2_machine(running.api_url, tmp_path_factory.mktemp("prefect2") / "home") as machine,
    ):
        yield Moved(running, machine)


@pytest.fixture
def before(moved: Moved) -> set[UUID]:
    """The runs that other tests have left."""
    return {run.id for run in moved.runs()}


@pytest.fixture
def run(moved: Moved, tmp_path: Path) -> Callable[..., str]:
    """Runs a command in a folder with FLOWS in flows.py."""
    (tmp_path / "flows.py").write_text(FLOWS)
    return partial(moved.machine.run, folder=tmp_path)


def test_its_flows_tasks_retries_and_subflows_are_kept(
    moved: Moved, run: Callable[..., str], before: set[UUID]
) -> None:
    run("python", "flows.py")
    runs = [one for one in moved.runs() if one.id not in before]
    with moved.running.client() as client:
        states = sorted((client.read_flow(one.flow_id).name, str(one.state_name)) for one in runs)
        tasks = [one for one in client.send(task_runs.read_task_runs()) if one.flow_run_id not in before]
        logs = [one.message for one in client.read_logs() if one.flow_run_id not in before]
    assert states == [("failing", "Failed"), ("inner", "Completed"), ("outer", "Completed")]
    assert sorted(task.state_name or "" for task in tasks) == ["Completed"] * 3
    assert max(task.run_count for task in tasks) == 3
    assert "said by the flow" in logs


def test_its_deployments_runs_and_agent_work(moved: Moved, run: Callable[..., str]) -> None:
    build = ("deployment", "build", "flows.py:outer", "-n", "moved", "-q", "old", "-i", "process", "--apply")
    run("prefect", *build)
    assert "outer/moved" in run("prefect", "deployment", "ls")
    run("prefect", "deployment", "run", "outer/moved", "-p", "x=5")
    run("prefect", "agent", "start", "-q", "old", "--run-once")
    (asked,) = [one for one in moved.runs() if one.deployment_id is not None]
    assert (asked.state_name, asked.parameters, asked.work_queue_name) == ("Completed", {"x": 5}, "old")


def test_its_blocks_queues_and_pools_are_kept(run: Callable[..., str]) -> None:
    program = (
        "from prefect.blocks.system import Secret; from prefect.infrastructure import Process\n"
        "Secret(value='s3cret').save('mine'); assert Secret.load('mine').get() == 's3cret'\n"
        "Process(env={'A': '1'}).save('local'); assert Process.load('local').env == {'A': '1'}\n"
    )
    run("python", "-c", program)
    listed = run("prefect", "block", "ls")
    assert "secret/mine" in listed
    assert "process/local" in listed
    assert "s3cret" not in run("prefect", "block", "inspect", "secret/mine")
    run("prefect", "work-queue", "create", "fast", "-l", "3")
    assert "fast" in run("prefect", "work-queue", "ls")
    run("prefect", "work-pool", "create", "mine", "--type", "process")
    assert "mine" in run("prefect", "work-pool", "ls")


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


def test_its_variables_and_artifacts_are_kept(
    moved: Moved, run: Callable[..., str], before: set[UUID], tmp_path: Path
) -> None:
    (tmp_path / "nouns.py").write_text(NOUNS)
    run("python", "nouns.py")
    (asked,) = [one for one in moved.runs() if one.id not in before]
    with moved.running.client() as client:
        latest = {one.key: one for one in client.read_latest_artifacts()}
        tasks = [one for one in client.send(task_runs.read_task_runs()) if one.flow_run_id == asked.id]
        everything = client.count_artifacts(flow_run_filter={"id": {"any_": [str(asked.id)]}})
    assert {key: one.data for key, one in latest.items()} == {
        "link": "[here](http://a/b)",
        "rows": '[{"a": 1, "b": null}]',
        "words": "# second",
    }
    assert everything == 4
    assert [latest["rows"].task_run_id] == [task.id for task in tasks]
    inspected = run("prefect", "artifact", "inspect", "words")
    assert inspected.index("# second") < inspected.index("# first")
    assert "moved" in run("prefect", "variable", "ls")


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


def test_its_tag_limits_and_named_limits_hold(moved: Moved, run: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "slots.py").write_text(SLOTS)
    run("prefect", "concurrency-limit", "create", "database", "1")
    run("prefect", "gcl", "create", "licenses", "--limit", "2")
    with moved.running.client() as client:
        rate = GlobalConcurrencyLimitCreate(name="calls", limit=5, slot_decay_per_second=20)
        client.send(concurrency_limits.create_global_concurrency_limit(rate))
        run("python", "slots.py")
        tag = client.send(concurrency_limits.read_concurrency_limit_by_tag("database"))
        named = client.send(concurrency_limits.read_global_concurrency_limit_by_name("licenses"))
        assert (tag.active_slots, named.active_slots) == ([], 0)
        run("prefect", "gcl", "update", "licenses", "--limit", "7", "--disable")
        named = client.send(concurrency_limits.read_global_concurrency_limit_by_name("licenses"))
        assert (named.limit, named.active) == (7, False)
