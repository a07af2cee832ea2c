from typing import Any
from uuid import uuid4

from wire import Api

STAMP = "2026-01-01T00:00:0{}.000000Z"


class Engine:
    """The reporting half of an engine."""

    def __init__(self, api: Api, run_id: str) -> None:
        self.api, self.run_id, self.stream, self.sequence = api, run_id, str(uuid4()), 0

    def batch(self, *task_runs: dict[str, Any], **fields: Any) -> dict[str, Any]:
        self.sequence += 1
        head = {"stream": self.stream, "sequence": self.sequence, "flow_run_id": self.run_id}
        return {**head, "task_runs": list(task_runs), **fields}

    def send(self, *task_runs: dict[str, Any], **fields: Any) -> Any:
        answer = self.api.post("/reports", self.batch(*task_runs, **fields))
        assert answer.status == 200, answer
        return answer.body

    def task(self, key: str, *kinds: str, task_id: str | None = None, **fields: Any) -> dict[str, Any]:
        states = [{"id": str(uuid4()), "type": kind, "timestamp": STAMP.format(i)} for i, kind in enumerate(kinds)]
        report: dict[str, Any] = {"task_run_id": task_id or str(uuid4()), "states": states, **fields}
        if task_id is None:
            report["create"] = {"flow_run_id": self.run_id, "task_key": "t", "dynamic_key": key, "name": f"t-{key}"}
        return report


def test_a_batch_brings_task_runs_states_and_logs(api: Api) -> None:
    engine = Engine(api, api.run("RUNNING")["id"])
    report = engine.task("0", "PENDING", "RUNNING", "COMPLETED")
    line = {"name": "n", "level": 20, "message": "hello", "timestamp": STAMP.format(1), "flow_run_id": engine.run_id}
    receipt = engine.send(report, logs=[line])
    assert receipt == {"stream": engine.stream, "sequence": 1, "cancel": False, "cancel_subflows": [], "paused": False}
    task = api.get(f"/task_runs/{report['task_run_id']}").body
    assert (task["name"], task["state_type"], task["run_count"], task["total_run_time"]) == ("t-0", "COMPLETED", 1, 1.0)
    assert task["start_time"] == "2026-01-01T00:00:01Z"
    assert task["end_time"] == "2026-01-01T00:00:02Z"
    assert task["state"]["id"] == report["states"][-1]["id"]
    assert task["state"]["state_details"]["flow_run_id"] == engine.run_id
    states = api.get(f"/task_run_states/?task_run_id={report['task_run_id']}").body
    assert [state["type"] for state in states] == ["PENDING", "RUNNING", "COMPLETED"]
    assert api.post("/logs/filter", {"logs": {"flow_run_id": {"any_": [engine.run_id]}}}).body[0]["message"] == "hello"


def test_a_story_told_in_several_batches_is_one_story(api: Api) -> None:
    engine = Engine(api, api.run("RUNNING")["id"])
    first = engine.task("0", "PENDING", "RUNNING")
    engine.send(first)
    engine.send(engine.task("0", "COMPLETED", task_id=first["task_run_id"], total_run_time=7.5, name="renamed"))
    task = api.get(f"/task_runs/{first['task_run_id']}").body
    assert (task["state_type"], task["run_count"], task["total_run_time"], task["name"]) == (
        "COMPLETED",
        1,
        7.5,
        "renamed",
    )


def test_a_batch_sent_again_changes_nothing(api: Api) -> None:
    engine = Engine(api, api.run("RUNNING")["id"])
    line = {"name": "n", "level": 20, "message": "once", "timestamp": STAMP.format(1), "flow_run_id": engine.run_id}
    batch = engine.batch(engine.task("0", "PENDING"), logs=[line])
    engine_two = engine.batch()
    assert api.post("/reports", batch).body["sequence"] == 1
    assert api.post("/reports", engine_two).body["sequence"] == 2
    again = api.post("/reports", batch)
    assert (again.status, again.body["sequence"]) == (200, 2)
    assert len(api.post("/logs/filter", {"logs": {"flow_run_id": {"any_": [engine.run_id]}}}).body) == 1


def test_a_gap_is_refused_and_says_what_is_missing(api: Api) -> None:
    engine = Engine(api, api.run("RUNNING")["id"])
    engine.sequence = 1
    answer = api.post("/reports", engine.batch())
    assert (answer.status, answer.body["code"]) == (409, "report_gap")
    assert "batch 1" in answer.body["hint"]


def test_a_report_on_no_run_is_refused(api: Api) -> None:
    assert api.post("/reports", Engine(api, str(uuid4())).batch()).status == 404


def test_a_batch_that_does_not_fit_is_refused_with_the_field(api: Api) -> None:
    answer = api.post("/reports", {"stream": "x", "sequence": 0, "flow_run_id": str(uuid4())})
    assert answer.status == 422
    assert answer.body["message"].startswith("stream")


def test_the_receipt_tells_that_the_run_is_to_stop(api: Api) -> None:
    engine = Engine(api, api.run("RUNNING")["id"])
    assert engine.send()["cancel"] is False
    api.propose(engine.run_id, "CANCELLING")
    assert engine.send()["cancel"] is True


def test_what_was_closed_when_its_run_was_given_up_stays_closed(api: Api) -> None:
    engine = Engine(api, api.run("RUNNING")["id"])
    report = engine.task("0", "PENDING", "RUNNING")
    engine.send(report)
    api.propose(engine.run_id, "CRASHED")
    engine.send(engine.task("0", "COMPLETED", task_id=report["task_run_id"]))
    assert api.get(f"/task_runs/{report['task_run_id']}").body["state_type"] == "CRASHED"


def test_a_call_made_again_by_another_launch_becomes_a_task_run_beside_the_older_one(api: Api) -> None:
    run = api.run("RUNNING")["id"]
    first, second = Engine(api, run), Engine(api, run)
    before, after = first.task("0", "RUNNING"), second.task("0", "RUNNING", "COMPLETED")
    first.send(before)
    second.send(after)
    assert api.get(f"/task_runs/{before['task_run_id']}").body["state_type"] == "RUNNING"
    assert api.get(f"/task_runs/{after['task_run_id']}").body["state_type"] == "COMPLETED"
    assert api.post("/task_runs/count", {"flow_runs": {"id": {"any_": [run]}}}).body == 2
