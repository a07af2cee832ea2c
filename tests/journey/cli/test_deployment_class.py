"""The Deployment class against a real server: applied twice it is one deployment, and leaves nothing behind."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from cli_process import FLOWS

from penstock.client import block_documents, deployments, flow_runs, work_queues
from penstock.deployments import Deployment, run_deployment
from penstock.engine.code import load_flow_from_entrypoint
from penstock.infrastructure import Process
from penstock.model.schedules import CronSchedule
from penstock.model.states import StateType
from penstock.testing import TestServer, agent


@pytest.fixture
def hello(running: TestServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The flow of flows.py, in a process whose settings point at the server."""
    (tmp_path / "class_flows.py").write_text(FLOWS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PENSTOCK_HOME", str(running.home))
    monkeypatch.setenv("PENSTOCK_API_URL", running.api_url)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield load_flow_from_entrypoint("class_flows.py:hello")
    sys.modules.pop("class_flows", None)


def _read(running: TestServer, identifier: UUID) -> Any:
    with running.client() as client:
        return client.send(deployments.read_deployment(identifier))


def test_applied_twice_it_is_one_deployment_with_one_document(running: TestServer, hello: Any) -> None:
    built = Deployment.build_from_flow(hello, "twice", infrastructure=Process(env={"A": "1"}))
    first = built.apply()
    document = _read(running, first).infrastructure_document_id
    built.update(infrastructure=Process(env={"A": "2"}), tags=["t"])
    assert built.apply() == first
    again = _read(running, first)
    assert again.infrastructure_document_id == document
    assert again.tags == ["t"]
    with running.client() as client:
        found = client.send(block_documents.read_block_document(document))
    assert found.is_anonymous
    assert found.data["env"] == {"A": "2"}


def test_a_plain_process_needs_no_document(running: TestServer, hello: Any) -> None:
    identifier = Deployment.build_from_flow(hello, "plain").apply()
    assert _read(running, identifier).infrastructure_document_id is None


def test_what_is_not_said_again_is_kept(running: TestServer, hello: Any) -> None:
    Deployment.build_from_flow(
        hello,
        "kept",
        apply=True,
        tags=["a"],
        work_queue_name="q-kept",
        schedule=CronSchedule(cron="0 9 * * *"),
        infrastructure=Process(env={"A": "1"}),
        infra_overrides={"env.B": "2"},
    )
    again = Deployment.build_from_flow(hello, "kept", parameters={"name": "x"})
    assert (again.tags, again.work_queue_name, again.infra_overrides) == (["a"], "q-kept", {"env.B": "2"})
    assert again.schedule == CronSchedule(cron="0 9 * * *")
    assert again.infrastructure == Process(env={"A": "1"})
    anew = Deployment.build_from_flow(hello, "kept", load_existing=False)
    assert anew.tags == []
    anew.apply()
    identifier = Deployment.build_from_flow(hello, "kept").apply()
    kept = _read(running, identifier)
    assert (kept.tags, kept.schedule) == (["a"], CronSchedule(cron="0 9 * * *"))
    Deployment.build_from_flow(hello, "kept", load_existing=False, schedule=None).apply()
    assert _read(running, identifier).schedule is None


def test_the_limit_of_the_queue_is_set(running: TestServer, hello: Any) -> None:
    Deployment.build_from_flow(hello, "limited", work_queue_name="q-limited").apply(work_queue_concurrency=4)
    with running.client() as client:
        assert client.send(work_queues.read_work_queue_by_name("q-limited")).concurrency_limit == 4


def test_run_deployment_waits_for_the_end(running: TestServer, hello: Any) -> None:
    Deployment.build_from_flow(hello, "waited", work_queue_name="q-waited", apply=True)
    with agent(running, "-q", "q-waited"):
        run = run_deployment("hello/waited", parameters={"name": "sdk"}, poll_interval=0.1, tags=["t"], timeout=60)
    assert run.state_type is StateType.COMPLETED
    assert run.parameters == {"name": "sdk"}


def test_run_deployment_need_not_wait(running: TestServer, hello: Any) -> None:
    Deployment.build_from_flow(hello, "later", work_queue_name="q-later", apply=True)
    first = run_deployment("hello/later", timeout=0, idempotency_key="once")
    assert first.state_type is StateType.SCHEDULED
    assert run_deployment("hello/later", timeout=0, idempotency_key="once").id == first.id
    with running.client() as client:
        client.send(flow_runs.delete_flow_run(first.id))
