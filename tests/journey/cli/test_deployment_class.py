"""The Deployment class against a real server: applied twice it is one deployment, and leaves nothing behind."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from cli_process import FLOWS, known_agent

from penstock import flow
from penstock.client import block_documents, deployments, flow_runs, work_queues
from penstock.deployments import Deployment, run_deployment
from penstock.engine.code import load_flow_from_entrypoint
from penstock.errors import ConfigurationError
from penstock.filesystems import LocalFileSystem
from penstock.infrastructure import Process
from penstock.model.deployments import DeploymentUpdate
from penstock.model.schedules import CronSchedule
from penstock.model.states import StateType
from penstock.testing import TestServer


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


def test_a_script_that_runs_again_keeps_what_people_have_changed(running: TestServer, hello: Any) -> None:
    def script(**more: Any) -> Deployment:
        fields: dict[str, Any] = {"tags": ["script"], "parameters": {"name": "script"}, "schedule": None, **more}
        return Deployment.build_from_flow(hello, "script", **fields)

    identifier = script().apply()
    with running.client() as client:
        people = DeploymentUpdate(parameters={"name": "people"}, schedule=CronSchedule(cron="0 9 * * *"))
        client.send(deployments.update_deployment(identifier, people))
    before = _read(running, identifier)
    assert script().diff() == []
    script().apply()
    assert _read(running, identifier) == before
    (change,) = script(parameters={"name": "new"}).diff()
    assert (change.field, change.before, change.after) == ("parameters.name", "people", "new")
    assert change.changed_elsewhere
    assert _read(running, identifier) == before
    script().apply(force=["parameters"])
    after = _read(running, identifier)
    assert (after.parameters, after.schedule) == ({"name": "script"}, CronSchedule(cron="0 9 * * *"))


def test_the_limit_of_the_queue_is_set(running: TestServer, hello: Any) -> None:
    Deployment.build_from_flow(hello, "limited", work_queue_name="q-limited").apply(work_queue_concurrency=4)
    with running.client() as client:
        assert client.send(work_queues.read_work_queue_by_name("q-limited")).concurrency_limit == 4


def test_run_deployment_waits_for_the_end(running: TestServer, hello: Any) -> None:
    Deployment.build_from_flow(hello, "waited", work_queue_name="q-waited", apply=True)
    with known_agent(running, "-q", "q-waited"):
        run = run_deployment("hello/waited", parameters={"name": "sdk"}, poll_interval=0.1, tags=["t"], timeout=200)
    assert run.state_type is StateType.COMPLETED
    assert run.parameters == {"name": "sdk"}


def test_run_deployment_need_not_wait(running: TestServer, hello: Any) -> None:
    Deployment.build_from_flow(hello, "later", work_queue_name="q-later", apply=True)
    first = run_deployment("hello/later", timeout=0, idempotency_key="once")
    assert first.state_type is StateType.SCHEDULED
    assert run_deployment("hello/later", timeout=0, idempotency_key="once").id == first.id
    with running.client() as client:
        client.send(flow_runs.delete_flow_run(first.id))


def test_in_asynchronous_code_every_verb_is_awaited(running: TestServer, hello: Any, tmp_path: Path) -> None:
    async def deploy() -> UUID:
        built = await Deployment.build_from_flow(hello, "awaited", tags=["a"], output=tmp_path / "a.yaml")  # type: ignore[misc]
        await built.update(description="Awaited.")
        await built.to_yaml(tmp_path / "a.yaml")
        read = await Deployment.load_from_yaml(tmp_path / "a.yaml")  # type: ignore[misc]
        assert read == built
        identifier: UUID = await read.apply()  # type: ignore[misc]
        other = Deployment(name="awaited", flow_name="hello")
        assert await other.load()  # type: ignore[misc]
        assert other.tags == ["a"]
        return identifier

    assert _read(running, asyncio.run(deploy())).description == "Awaited."

    @flow
    async def deploys() -> UUID:
        return await deploy()

    assert asyncio.run(deploys()) is not None

    @flow
    def blocks() -> Any:
        return Deployment.build_from_flow(hello, "blocked", apply=True)

    async def calls() -> Any:
        return blocks()

    assert asyncio.run(calls()).name == "blocked"


def test_several_schedules_are_kept_when_it_is_built_again(running: TestServer, hello: Any) -> None:
    schedules = [
        CronSchedule(cron="0 9 * * *"),
        {"schedule": {"interval": 3600}, "active": False},
        {"rrule": "FREQ=DAILY"},
    ]
    Deployment.build_from_flow(hello, "several", schedules=schedules, concurrency_limit=2, apply=True)
    again = Deployment.build_from_flow(hello, "several")
    assert again.schedules is not None
    assert [item.active for item in again.schedules] == [True, False, True]
    assert again.concurrency_limit == 2
    one = Deployment.build_from_flow(hello, "several", schedule=CronSchedule(cron="5 9 * * *"))
    assert one.schedules is None
    assert len(_read(running, one.apply(force=True)).schedules) == 1


def test_a_deployment_may_be_written_field_by_field(running: TestServer, hello: Any, tmp_path: Path) -> None:
    LocalFileSystem(basepath=str(tmp_path / "store")).save("by-field")
    built = Deployment(name="by-field", flow_name="hello", entrypoint="class_flows.py:hello")
    assert built.upload_to_storage("local-file-system/by-field/below") == 1
    assert (tmp_path / "store/below/class_flows.py").exists()
    assert _read(running, built.apply()).path == "below"
    with pytest.raises(ValueError, match="Did you mean 'tags'"):
        Deployment(name="x", tgas=[])  # type: ignore[call-arg]
    with pytest.raises(ConfigurationError, match="cannot be read"):
        Deployment.build_from_flow(hello, "by-field", ignore_file="none.txt", storage=built.storage)
