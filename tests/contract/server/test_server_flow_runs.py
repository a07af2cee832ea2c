from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from wire import Api

from penstock.testing import wait_until


def _in(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def _state(api: Api, run_id: str, noun: str = "flow_runs") -> tuple[str, str]:
    run = api.get(f"/{noun}/{run_id}").body
    assert run["state"]["type"] == run["state_type"]
    return run["state_type"], run["state_name"]


def test_an_idempotency_key_finds_the_run_that_was_made_with_it(api: Api) -> None:
    flow = api.flow()
    first = api.post("/flow_runs/", {"flow_id": flow, "idempotency_key": "k", "state": {"type": "PENDING"}})
    second = api.post("/flow_runs/", {"flow_id": flow, "idempotency_key": "k"})
    other = api.post("/flow_runs/", {"flow_id": api.flow(), "idempotency_key": "k"})
    assert (first.status, second.status, other.status) == (201, 200, 201)
    assert second.body["id"] == first.body["id"]
    assert other.body["id"] != first.body["id"]


def test_a_run_without_a_name_gets_one_of_two_words(api: Api) -> None:
    assert len(api.run()["name"].split("-")) == 2
    assert api.run(name="mine")["name"] == "mine"


def test_a_run_of_no_flow_is_refused(api: Api) -> None:
    assert api.post("/flow_runs/", {"flow_id": str(uuid4())}).status == 409


def test_a_run_goes_its_way_and_its_times_are_kept(api: Api) -> None:
    run = api.run("SCHEDULED")["id"]
    for kind in ("PENDING", "RUNNING", "COMPLETED"):
        answer = api.propose(run, kind)
        assert (answer.status, answer.body["status"]) == (201, "ACCEPT")
        assert answer.body["state"]["state_details"]["flow_run_id"] == run
        assert answer.body["details"]["type"] == "accept_details"
    done = api.get(f"/flow_runs/{run}").body
    assert done["run_count"] == 1
    assert done["start_time"] <= done["end_time"]
    assert done["total_run_time"] == pytest.approx(done["estimated_run_time"])
    assert done["next_scheduled_start_time"] is None
    history = [state["type"] for state in api.get(f"/flow_run_states/?flow_run_id={run}").body]
    assert history == ["SCHEDULED", "PENDING", "RUNNING", "COMPLETED"]
    state = api.get(f"/flow_run_states/{done['state_id']}").body
    assert state == done["state"]


def test_setting_the_state_of_an_unknown_run_says_so_where_old_clients_look(api: Api) -> None:
    answer = api.propose(str(uuid4()), "RUNNING")
    assert answer.status == 404
    assert answer.body["exception_message"]


def test_a_failed_run_with_retries_left_awaits_its_retry(api: Api) -> None:
    run = api.run("RUNNING", empirical_policy={"retries": 1, "retry_delay": 0})["id"]
    answer = api.propose(run, "FAILED", message="boom")
    assert (answer.status, answer.body["status"]) == (201, "REJECT")
    assert (answer.body["state"]["type"], answer.body["state"]["name"]) == ("SCHEDULED", "AwaitingRetry")
    assert answer.body["state"]["state_details"]["scheduled_time"]
    assert api.propose(run, "RUNNING", name="Retrying").body["status"] == "ACCEPT"
    assert api.propose(run, "FAILED").body["status"] == "ACCEPT"
    assert api.get(f"/flow_runs/{run}").body["run_count"] == 2


def test_a_retry_waits_for_its_delay(api: Api) -> None:
    run = api.run("RUNNING", empirical_policy={"retries": 1, "retry_delay": 1000})["id"]
    api.propose(run, "FAILED")
    answer = api.propose(run, "RUNNING")
    assert (answer.status, answer.body["status"]) == (200, "WAIT")
    assert 900 < answer.body["details"]["delay_seconds"] <= 1000
    assert answer.body["details"]["delay_seconds"] == int(answer.body["details"]["delay_seconds"])


def test_a_run_does_not_start_before_its_time_even_if_it_is_pending(api: Api) -> None:
    flow = api.flow()
    state = {"type": "SCHEDULED", "state_details": {"scheduled_time": _in(3600)}}
    run = api.post("/flow_runs/", {"flow_id": flow, "state": state}).body["id"]
    assert api.propose(run, "RUNNING").body["status"] == "WAIT"
    assert api.propose(run, "PENDING").body["status"] == "ACCEPT"
    assert api.propose(run, "RUNNING").body["status"] == "WAIT"


def test_a_pending_run_is_not_launched_a_second_time(api: Api) -> None:
    run = api.run("PENDING")["id"]
    answer = api.propose(run, "PENDING")
    assert (answer.status, answer.body["status"], answer.body["state"]) == (200, "ABORT", None)


@pytest.mark.parametrize("end", ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"])
def test_a_finished_run_stays_as_it_is(api: Api, end: str) -> None:
    run = api.run("RUNNING")["id"]
    api.propose(run, end)
    for kind in (
        "PENDING",
        "RUNNING",
        "COMPLETED",
        "FAILED",
        "CRASHED",
        "CANCELLING",
        "CANCELLED",
        "SCHEDULED",
        "PAUSED",
    ):
        answer = api.propose(run, kind)
        assert (answer.status, answer.body["status"]) == (200, "ABORT"), kind
    assert _state(api, run)[0] == end
    assert len(api.get(f"/flow_run_states/?flow_run_id={run}").body) == 2


def test_force_overrules_the_rules(api: Api) -> None:
    run = api.run("RUNNING")["id"]
    api.propose(run, "FAILED")
    answer = api.propose(run, "COMPLETED", force=True)
    assert (answer.status, answer.body["status"]) == (201, "ACCEPT")
    assert _state(api, run)[0] == "COMPLETED"


def test_cancelling_a_run_that_nothing_has_started_cancels_it_at_once(api: Api) -> None:
    run = api.run("SCHEDULED")["id"]
    answer = api.propose(run, "CANCELLING")
    assert (answer.status, answer.body["status"]) == (201, "REJECT")
    assert _state(api, run) == ("CANCELLED", "Cancelled")


def test_a_run_being_cancelled_takes_nothing_but_cancelled(api: Api) -> None:
    run = api.run("RUNNING")["id"]
    assert api.propose(run, "CANCELLING").body["status"] == "ACCEPT"
    for kind in ("RUNNING", "COMPLETED", "FAILED", "CRASHED", "PENDING", "SCHEDULED", "PAUSED"):
        answer = api.propose(run, kind)
        assert (answer.status, answer.body["status"]) == (200, "REJECT"), kind
        assert answer.body["state"]["type"] == "CANCELLING"
    assert api.propose(run, "CANCELLED").body["status"] == "ACCEPT"


def test_the_same_proposal_sent_again_writes_nothing_and_gets_the_same_answer(api: Api) -> None:
    run = api.run("PENDING", empirical_policy={"retries": 1})["id"]
    running = {"details": {"transition_id": str(uuid4())}}
    first, again = api.propose(run, "RUNNING", **running), api.propose(run, "RUNNING", **running)
    assert (first.body["status"], again.body["status"]) == ("ACCEPT", "ACCEPT")
    assert again.body["state"] == first.body["state"]
    failed = {"details": {"transition_id": str(uuid4())}}
    first, again = api.propose(run, "FAILED", **failed), api.propose(run, "FAILED", **failed)
    assert (first.body["status"], again.body["status"]) == ("REJECT", "REJECT")
    assert again.body["state"] == first.body["state"]
    assert len(api.get(f"/flow_run_states/?flow_run_id={run}").body) == 3


def test_a_state_id_is_written_once(api: Api) -> None:
    run, state_id = api.run("PENDING")["id"], str(uuid4())
    assert api.propose(run, "RUNNING", id=state_id).status == 201
    assert api.propose(run, "PAUSED").status == 201
    late = api.propose(run, "RUNNING", id=state_id)
    assert late.status == 200
    assert _state(api, run)[0] == "PAUSED"
    assert api.propose(api.run("PENDING")["id"], "RUNNING", id=state_id).status == 409


def test_a_paused_run_is_resumed_once(api: Api) -> None:
    run = api.run("RUNNING")["id"]
    assert api.post(f"/flow_runs/{run}/resume").body["status"] == "ABORT"
    api.propose(run, "PAUSED", details={"pause_key": "first", "pause_timeout": _in(3600)})
    assert api.propose(run, "PENDING").body["status"] == "REJECT"
    resumed = api.post(f"/flow_runs/{run}/resume", {"run_input": None})
    assert (resumed.status, resumed.body["state"]["type"]) == (201, "RUNNING")
    assert api.get(f"/flow_runs/{run}").body["run_count"] == 1
    answer = api.propose(run, "PAUSED", details={"pause_key": "first"})
    assert (answer.status, answer.body["status"]) == (200, "REJECT")


def test_a_run_that_was_paused_for_too_long_has_failed(api: Api) -> None:
    run = api.run("RUNNING")["id"]
    api.propose(run, "PAUSED", details={"pause_timeout": _in(-1)})
    answer = api.post(f"/flow_runs/{run}/resume")
    assert (answer.status, answer.body["status"], answer.body["state"]["type"]) == (201, "REJECT", "FAILED")


def test_only_a_running_run_can_be_paused_and_only_a_deployed_one_suspended(api: Api) -> None:
    assert api.propose(api.run("PENDING")["id"], "PAUSED").body["status"] == "REJECT"
    suspended = api.propose(api.run("RUNNING")["id"], "PAUSED", details={"pause_reschedule": True})
    assert suspended.body["status"] == "ABORT"


def test_when_a_run_is_called_crashed_what_lived_in_its_process_is_closed(api: Api) -> None:
    parent = api.run("RUNNING")["id"]
    task = _task(api, parent, "RUNNING")
    done = _task(api, parent, "COMPLETED")
    child = api.run("RUNNING", parent_task_run_id=task)["id"]
    grandchild_task = _task(api, child, "PENDING")
    api.propose(parent, "CRASHED", message="the node is gone", details={"reason": "NodeLost", "phase": "run"})
    assert _state(api, task, "task_runs")[0] == "CRASHED"
    assert _state(api, done, "task_runs")[0] == "COMPLETED"
    assert _state(api, child)[0] == "CRASHED"
    closed = api.get(f"/task_runs/{grandchild_task}").body
    assert closed["state_type"] == "CRASHED"
    assert closed["end_time"]
    assert closed["state"]["state_details"]["reason"] == "NodeLost"
    assert "the node is gone" in closed["state"]["message"]


def _task(api: Api, run_id: str, kind: str) -> str:
    body = {"flow_run_id": run_id, "task_key": "t", "dynamic_key": str(uuid4()), "state": {"type": kind}}
    return str(api.post("/task_runs/", body).body["id"])


def test_a_run_can_be_changed_and_deleted(api: Api) -> None:
    run = api.run("PENDING", parameters={"x": 1})["id"]
    change = {"name": "other", "tags": ["a"], "infrastructure_pid": "host:1", "empirical_policy": {"retries": 3}}
    assert api.call("PATCH", f"/flow_runs/{run}", change).status == 204
    read = api.get(f"/flow_runs/{run}").body
    assert (read["name"], read["tags"], read["infrastructure_pid"]) == ("other", ["a"], "host:1")
    assert (read["empirical_policy"]["retries"], read["parameters"]) == (3, {"x": 1})
    api.post("/logs/", [_line(run, "gone")])
    assert api.call("DELETE", f"/flow_runs/{run}").status == 204
    assert api.call("DELETE", f"/flow_runs/{run}").status == 404
    assert api.post("/logs/filter", {"logs": {"flow_run_id": {"any_": [run]}}}).body == []


def _line(run_id: str, message: str) -> dict[str, Any]:
    return {"name": "n", "level": 20, "message": message, "timestamp": _in(0), "flow_run_id": run_id}


def _found(api: Api, flow: str, **flow_runs: Any) -> int:
    found = api.post("/flow_runs/count", {"flows": {"id": {"any_": [flow]}}, "flow_runs": flow_runs})
    assert found.status == 200, found
    return int(found.body)


def test_every_operator_of_the_filter_does_what_it_says(api: Api) -> None:
    flow = api.flow()
    one = api.run("RUNNING", flow_id=flow, name="Alpha-Run", tags=["x", "y"], flow_version="1", idempotency_key="i1")
    two = api.run("SCHEDULED", flow_id=flow, name="beta", tags=["y"])
    bare = api.run(None, flow_id=flow, name="gamma")
    assert bare["state"] is None
    expectations: list[tuple[dict[str, Any], int]] = [
        ({}, 3),
        ({"id": {"any_": [one["id"], two["id"]]}}, 2),
        ({"id": {"not_any_": [one["id"]]}}, 2),
        ({"name": {"any_": ["beta"]}}, 1),
        ({"name": {"like_": "ALPHA"}}, 1),
        ({"name": {"like_": "a_p"}}, 0),
        ({"tags": {"all_": ["y"]}}, 2),
        ({"tags": {"all_": ["x", "y"]}}, 1),
        ({"tags": {"is_null_": True}}, 1),
        ({"tags": {"is_null_": False}}, 2),
        ({"tags": {"operator": "or_", "all_": ["x"], "is_null_": True}}, 2),
        ({"deployment_id": {"is_null_": True}}, 3),
        ({"work_queue_name": {"is_null_": False}}, 0),
        ({"work_queue_name": {"any_": ["q"]}}, 0),
        ({"state": {"type": {"any_": ["RUNNING", "FAILED"]}}}, 1),
        ({"state": {"name": {"any_": ["Scheduled"]}}}, 1),
        ({"state": {"operator": "or_", "type": {"any_": ["RUNNING"]}, "name": {"any_": ["Scheduled"]}}}, 2),
        ({"flow_version": {"any_": ["1"]}}, 1),
        ({"start_time": {"is_null_": True}}, 2),
        ({"start_time": {"before_": _in(60), "after_": _in(-60)}}, 1),
        ({"expected_start_time": {"after_": _in(60)}}, 0),
        ({"next_scheduled_start_time": {"before_": _in(60)}}, 1),
        ({"parent_task_run_id": {"is_null_": True}}, 3),
        ({"parent_flow_run_id": {"any_": [one["id"]]}}, 0),
        ({"idempotency_key": {"any_": ["i1"]}}, 1),
        ({"idempotency_key": {"not_any_": ["i1"]}}, 2),
        ({"operator": "or_", "name": {"any_": ["beta"]}, "flow_version": {"any_": ["1"]}}, 2),
    ]
    for given, expected in expectations:
        assert _found(api, flow, **given) == expected, given


def test_subflow_runs_are_found_by_their_parent(api: Api) -> None:
    parent = api.run("RUNNING")["id"]
    task = _task(api, parent, "RUNNING")
    child = api.run("RUNNING", parent_task_run_id=task)["id"]
    found = api.post("/flow_runs/filter", {"flow_runs": {"parent_flow_run_id": {"any_": [parent]}}}).body
    assert [run["id"] for run in found] == [child]
    with_children = {"flow_runs": {"id": {"any_": [parent]}}, "task_runs": {"subflow_runs": {"exists_": True}}}
    assert api.post("/task_runs/count", with_children).body == 1


@pytest.mark.parametrize(
    "sort",
    [
        "ID_DESC", "START_TIME_ASC", "START_TIME_DESC", "EXPECTED_START_TIME_ASC", "EXPECTED_START_TIME_DESC",
        "NAME_ASC", "NAME_DESC", "NEXT_SCHEDULED_START_TIME_ASC", "END_TIME_DESC",
    ],
)  # fmt: skip
def test_every_order_reads_the_same_by_cursor_as_at_once(api: Api, sort: str) -> None:
    flow = api.flow()
    for kind in ("RUNNING", "SCHEDULED", "COMPLETED", "SCHEDULED", "RUNNING", None, "COMPLETED"):
        api.run(kind, flow_id=flow, name="same")
    query: dict[str, Any] = {"flows": {"id": {"any_": [flow]}}, "sort": sort}
    whole = [run["id"] for run in api.post("/flow_runs/filter", query).body]
    assert len(whole) == 7
    pieces: list[str] = []
    answer = api.post("/flow_runs/filter", query | {"limit": 2})
    while True:
        pieces += [run["id"] for run in answer.body]
        cursor = answer.headers["X-Next-Cursor"]
        if cursor is None:
            break
        answer = api.post("/flow_runs/filter", query | {"limit": 2, "cursor": cursor})
    assert pieces == whole
    by_offset = [run["id"] for run in api.post("/flow_runs/filter", query | {"limit": 3, "offset": 3}).body]
    assert by_offset == whole[3:6]


def test_limits_of_a_page_are_checked(api: Api) -> None:
    assert api.post("/flow_runs/filter", {"limit": 201}).status == 422
    assert api.post("/flow_runs/filter", {"limit": -1}).status == 422
    assert api.post("/flow_runs/filter", {"limit": 0}).body == []
    assert api.post("/flow_runs/filter").status == 200


def test_counting_by_state_type_agrees_with_counting_rows(api: Api) -> None:
    flow = api.flow()
    api.run("RUNNING", flow_id=flow)
    running = {"state": {"type": {"any_": ["RUNNING"]}}}

    def agree() -> bool:
        by_counter = api.post("/flow_runs/count", {"flow_runs": running}).body
        by_rows = api.post("/flow_runs/count", {"flow_runs": {**running, "id": {"not_any_": []}}}).body
        return bool(by_counter == by_rows == api.get("/counters").body["flow_runs.state.RUNNING"] > 0)

    wait_until(agree)  # the server itself may end a run of another test between two questions


def test_the_task_run_that_stands_for_a_subflow_run_follows_it_unless_the_client_reports_it(api: Api) -> None:
    parent = api.run("RUNNING")["id"]
    for agent, expected in (("prefect/2.20.25 (API 0.8.4)", "COMPLETED"), ("penstock/1", "PENDING")):
        task = _task(api, parent, "PENDING")
        child = api.run("PENDING", parent_task_run_id=task)["id"]
        for kind in ("RUNNING", "COMPLETED"):
            state = {"state": {"type": kind}}
            assert api.post(f"/flow_runs/{child}/set_state", state, User_Agent=agent).status == 201
        place = api.get(f"/task_runs/{task}").body
        assert place["state_type"] == expected
        if expected == "COMPLETED":
            assert place["state"]["state_details"]["child_flow_run_id"] == child
