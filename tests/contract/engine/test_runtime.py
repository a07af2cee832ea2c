"""What user code is told of the run it is in."""

from datetime import UTC, datetime

import pytest

from penstock import flow, tags, task
from penstock.errors import ConfigurationError
from penstock.runtime import deployment, flow_run, task_run


def test_a_run_knows_its_place(accounts):
    @task(tags=["heavy"])
    def inner_task(x):
        return {name: getattr(task_run, name) for name in dir(task_run)}

    @flow
    def below(n):
        return {name: getattr(flow_run, name) for name in dir(flow_run)}

    @flow(version="7", name="top of all")
    def top():
        with tags("outer"):
            return flow_run.id, flow_run.flow_version, below(3), inner_task(5)

    top_id, version, found, of_task = top()
    child = accounts.flow_run(below)
    assert version == "7"
    assert found["id"] == str(child.id)
    assert (found["parent_flow_run_id"], found["root_flow_run_id"]) == (top_id, top_id)
    assert found["parent_deployment_id"] is None
    assert (found["flow_name"], found["name"], found["parameters"]) == ("below", child.name, {"n": 3})
    assert (found["run_count"], found["tags"]) == (1, ["outer"])
    assert found["api_url"] == f"{accounts.server.api_url}/flow_runs/{child.id}"
    assert found["scheduled_start_time"] <= datetime.now(UTC)
    assert (of_task["task_name"], of_task["parameters"], of_task["run_count"]) == ("inner_task", {"x": 5}, 1)
    assert of_task["tags"] == ["heavy", "outer"]
    assert of_task["api_url"].endswith(f"/task_runs/{of_task['id']}")


def test_outside_of_a_run_there_is_nothing(accounts):
    assert (flow_run.id, flow_run.name, flow_run.flow_name, flow_run.parent_flow_run_id) == (None,) * 4
    assert (flow_run.tags, flow_run.parameters, flow_run.run_count) == ([], {}, 0)
    assert (task_run.id, task_run.tags, task_run.parameters, task_run.run_count) == (None, [], {}, 0)
    assert (deployment.id, deployment.name, deployment.version, deployment.parameters) == (None, None, None, {})
    assert isinstance(flow_run.scheduled_start_time, datetime)


def test_a_process_that_was_started_for_a_run_knows_it_before_it_runs(accounts, monkeypatch):
    @flow(name="known before")
    def known(a=1):
        return 1

    known(2)
    run = accounts.flow_run(known)
    monkeypatch.setenv("PENSTOCK__FLOW_RUN_ID", run.id.hex)
    assert (flow_run.name, flow_run.flow_name, flow_run.parameters) == (run.name, "known before", {"a": 2})
    assert flow_run.root_flow_run_id == str(run.id)
    assert deployment.id is None


@pytest.mark.parametrize(
    ("noun", "name", "text", "value"),
    [
        (flow_run, "name", "pretended", "pretended"),
        (flow_run, "run_count", "3", 3),
        (flow_run, "tags", '["a", "b"]', ["a", "b"]),
        (flow_run, "scheduled_start_time", "2030-01-02T03:04:05+00:00", datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (task_run, "task_name", "pretended", "pretended"),
        (deployment, "parameters", '{"x": 1}', {"x": 1}),
    ],
)
def test_values_can_be_pretended(monkeypatch, noun, name, text, value):
    monkeypatch.setenv(f"PENSTOCK__RUNTIME__{noun.__name__.rpartition('.')[2].upper()}__{name.upper()}", text)
    assert getattr(noun, name) == value


def test_a_pretended_value_that_cannot_be_read_is_named(monkeypatch):
    monkeypatch.setenv("PENSTOCK__RUNTIME__FLOW_RUN__RUN_COUNT", "many")
    with pytest.raises(ConfigurationError, match="PENSTOCK__RUNTIME__FLOW_RUN__RUN_COUNT is 'many'"):
        _ = flow_run.run_count


def test_a_name_that_there_is_not_is_answered_with_the_nearest():
    with pytest.raises(AttributeError, match="Did you mean 'flow_version'"):
        _ = flow_run.flow_versoin
