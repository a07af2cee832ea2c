from typing import Any
from uuid import uuid4

import pytest
from wire import Api


def _task(api: Api, run_id: str | None, kind: str | None = "PENDING", **fields: Any) -> dict[str, Any]:
    body = {"flow_run_id": run_id, "task_key": "pkg.mod.work", "dynamic_key": str(uuid4()), **fields}
    if kind is not None:
        body["state"] = {"type": kind}
    answer = api.post("/task_runs/", body)
    assert answer.status == 201, answer
    task: dict[str, Any] = answer.body
    return task


def test_one_call_in_one_run_is_one_task_run(api: Api) -> None:
    run = api.run("RUNNING")["id"]
    body = {"flow_run_id": run, "task_key": "k", "dynamic_key": "0"}
    first, second = api.post("/task_runs/", body), api.post("/task_runs/", body)
    assert (first.status, second.status) == (201, 200)
    assert first.body["id"] == second.body["id"]
    assert first.body["name"] == "k-0"
    assert api.post("/task_runs/", body | {"flow_run_id": str(uuid4())}).status == 409


def test_a_task_run_goes_its_way(api: Api) -> None:
    run = api.run("RUNNING")["id"]
    task = _task(api, run)["id"]
    for kind in ("RUNNING", "COMPLETED"):
        answer = api.propose(task, kind, "task_runs")
        assert (answer.status, answer.body["status"]) == (201, "ACCEPT")
        assert answer.body["state"]["state_details"]["task_run_id"] == task
        assert answer.body["state"]["state_details"]["flow_run_id"] == run
    done = api.get(f"/task_runs/{task}").body
    assert (done["run_count"], done["flow_run_run_count"]) == (1, 1)
    assert [s["type"] for s in api.get(f"/task_run_states/?task_run_id={task}").body] == [
        "PENDING",
        "RUNNING",
        "COMPLETED",
    ]
    assert api.get(f"/task_run_states/{done['state_id']}").body == done["state"]


def test_a_failed_task_with_retries_left_awaits_its_retry(api: Api) -> None:
    policy = {"retries": 2, "retry_delay": [500, 1000]}
    task = _task(api, api.run("RUNNING")["id"], empirical_policy=policy)["id"]
    api.propose(task, "RUNNING", "task_runs")
    answer = api.propose(task, "FAILED", "task_runs")
    assert (answer.status, answer.body["status"], answer.body["state"]["name"]) == (201, "REJECT", "AwaitingRetry")
    waiting = api.propose(task, "RUNNING", "task_runs")
    assert waiting.body["status"] == "WAIT"
    assert 400 < waiting.body["details"]["delay_seconds"] <= 500


def test_a_task_does_not_start_when_its_flow_run_does_not_run(api: Api) -> None:
    run = api.run("RUNNING")["id"]
    task = _task(api, run)["id"]
    api.propose(run, "CANCELLING")
    assert api.propose(task, "RUNNING", "task_runs").body["status"] == "ABORT"


def test_a_task_of_a_paused_flow_run_is_held(api: Api) -> None:
    run = api.run("RUNNING")["id"]
    task = _task(api, run)["id"]
    api.propose(run, "PAUSED")
    held = api.propose(task, "RUNNING", "task_runs").body
    assert (held["status"], held["state"]["type"]) == ("REJECT", "PAUSED")
    api.post(f"/flow_runs/{run}/resume")
    assert api.propose(task, "RUNNING", "task_runs").body["status"] == "ACCEPT"


def test_the_result_of_an_equal_task_is_taken_from_the_cache(api: Api) -> None:
    run, key = api.run("RUNNING")["id"], f"key-{uuid4()}"
    first, second, third = (_task(api, run)["id"] for _ in range(3))
    api.propose(first, "RUNNING", "task_runs", details={"cache_key": key})
    api.propose(first, "COMPLETED", "task_runs", details={"cache_key": key}, data={"type": "reference", "x": 1})
    hit = api.propose(second, "RUNNING", "task_runs", details={"cache_key": key})
    assert (hit.status, hit.body["status"]) == (201, "REJECT")
    assert (hit.body["state"]["type"], hit.body["state"]["name"]) == ("COMPLETED", "Cached")
    assert hit.body["state"]["data"] == {"type": "reference", "x": 1}
    fresh = api.propose(third, "RUNNING", "task_runs", details={"cache_key": key, "refresh_cache": True})
    assert fresh.body["status"] == "ACCEPT"


def test_a_finished_task_stays_as_it_is_until_its_flow_run_is_tried_again(api: Api) -> None:
    run = api.run("RUNNING", empirical_policy={"retries": 1})["id"]
    failed, kept = _task(api, run)["id"], _task(api, run)["id"]
    for task, end, data in ((failed, "FAILED", None), (kept, "COMPLETED", {"type": "reference"})):
        api.propose(task, "RUNNING", "task_runs")
        api.propose(task, end, "task_runs", data=data)
        assert api.propose(task, "RUNNING", "task_runs").body["status"] == "ABORT"
    api.propose(run, "FAILED")
    api.propose(run, "RUNNING", name="Retrying")
    again = api.propose(failed, "RUNNING", "task_runs")
    assert (again.body["status"], again.body["state"]["name"]) == ("ACCEPT", "Retrying")
    assert api.get(f"/task_runs/{failed}").body["run_count"] == 1
    assert api.propose(kept, "RUNNING", "task_runs").body["status"] == "ABORT"


def test_task_runs_are_filtered_renamed_and_deleted(api: Api) -> None:
    run = api.run("RUNNING")["id"]
    task = _task(api, run, "RUNNING", tags=["a"], name="first")["id"]
    other = _task(api, run, "PENDING", name="second")["id"]
    expectations: list[tuple[dict[str, Any], int]] = [
        ({}, 2),
        ({"id": {"any_": [task]}}, 1),
        ({"name": {"like_": "FIR"}}, 1),
        ({"tags": {"all_": ["a"]}}, 1),
        ({"state": {"type": {"any_": ["RUNNING"]}}}, 1),
        ({"start_time": {"is_null_": True}}, 1),
        ({"subflow_runs": {"exists_": False}}, 2),
        ({"flow_run_id": {"any_": [run]}}, 2),
        ({"flow_run_id": {"is_null_": True}}, 0),
    ]
    for given, expected in expectations:
        query = {"flow_runs": {"id": {"any_": [run]}}, "task_runs": given}
        assert api.post("/task_runs/count", query).body == expected, given
    assert api.call("PATCH", f"/task_runs/{task}", {"name": "new"}).status == 204
    assert api.get(f"/task_runs/{task}").body["name"] == "new"
    assert api.call("DELETE", f"/task_runs/{other}").status == 204
    assert api.call("DELETE", f"/task_runs/{other}").status == 404
    assert api.call("PATCH", f"/task_runs/{other}", {"name": "x"}).status == 404


@pytest.mark.parametrize("sort", ["ID_DESC", "EXPECTED_START_TIME_ASC", "NAME_DESC", "END_TIME_DESC"])
def test_task_runs_are_read_by_cursor(api: Api, sort: str) -> None:
    run = api.run("RUNNING")["id"]
    for kind in ("RUNNING", "COMPLETED", "PENDING", "COMPLETED", "RUNNING"):
        _task(api, run, kind)
    query: dict[str, Any] = {"flow_runs": {"id": {"any_": [run]}}, "sort": sort}
    whole = [task["id"] for task in api.post("/task_runs/filter", query).body]
    pieces: list[str] = []
    cursor: dict[str, Any] = {}
    while len(pieces) < 5:
        answer = api.post("/task_runs/filter", query | {"limit": 2} | cursor)
        pieces += [task["id"] for task in answer.body]
        cursor = {"cursor": answer.headers["X-Next-Cursor"]}
    assert pieces == whole
