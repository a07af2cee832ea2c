from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from wire import Api


def _span(start: timedelta, end: timedelta, interval: float) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {
        "history_start": (now + start).isoformat(),
        "history_end": (now + end).isoformat(),
        "history_interval_seconds": interval,
    }


def test_runs_are_counted_by_interval_and_state(api: Api) -> None:
    flow = api.flow()
    for kind in ("RUNNING", "RUNNING", "COMPLETED"):
        api.run(kind, flow_id=flow)
    late = {
        "type": "SCHEDULED",
        "state_details": {"scheduled_time": (datetime.now(UTC) - timedelta(hours=2)).isoformat()},
    }
    api.post("/flow_runs/", {"flow_id": flow, "state": late})
    query = _span(timedelta(hours=-3), timedelta(hours=1), 3600) | {"flows": {"id": {"any_": [flow]}}}
    answer = api.post("/flow_runs/history", query)
    assert answer.status == 200, answer
    assert len(answer.body) == 4
    counts = [{state["state_type"]: state["count_runs"] for state in part["states"]} for part in answer.body]
    assert {"SCHEDULED": 1} in counts[:2]
    assert {"RUNNING": 2, "COMPLETED": 1} in counts
    lateness = [
        s["sum_estimated_lateness"] for part in answer.body for s in part["states"] if s["state_type"] == "SCHEDULED"
    ]
    assert lateness == [pytest.approx(7200, abs=120)]
    average = api.post("/flow_runs/lateness", {"flows": {"id": {"any_": [flow]}}}).body
    assert average == pytest.approx(1800, abs=60)
    assert answer.body[0]["interval_end"] == answer.body[1]["interval_start"]


def test_task_runs_have_their_history_too(api: Api) -> None:
    run = api.run("RUNNING")["id"]
    api.post("/task_runs/", {"flow_run_id": run, "task_key": "t", "dynamic_key": "0", "state": {"type": "RUNNING"}})
    query = _span(timedelta(hours=-1), timedelta(hours=1), 600) | {"flow_runs": {"id": {"any_": [run]}}}
    parts = api.post("/task_runs/history", query).body
    assert sum(state["count_runs"] for part in parts for state in part["states"]) == 1


def test_a_span_that_makes_no_sense_is_refused(api: Api) -> None:
    for query in (
        _span(timedelta(0), timedelta(0), 60),
        _span(timedelta(days=-10), timedelta(0), 60),
        _span(timedelta(hours=-1), timedelta(0), 0),
    ):
        assert api.post("/flow_runs/history", query).status == 422
