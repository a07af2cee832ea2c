"""A subflow run that is cancelled by itself: the process of the run around it is told, and nobody else."""

from typing import Any
from uuid import uuid4

from wire import Api


class Reports:
    """The stream of one run's engine."""

    def __init__(self, api: Api, run_id: str) -> None:
        self.api, self.run_id, self.stream, self.sequence = api, run_id, str(uuid4()), 0

    def send(self) -> Any:
        self.sequence += 1
        body = {"stream": self.stream, "sequence": self.sequence, "flow_run_id": self.run_id}
        answer = self.api.post("/reports", body)
        assert answer.status == 200, answer
        return answer.body


def below(api: Api, run_id: str) -> str:
    """A subflow run of that run, Running."""
    task_run = {"flow_run_id": run_id, "task_key": "below", "dynamic_key": uuid4().hex, "name": "below"}
    made = api.post("/task_runs/", task_run).body
    run = api.run("PENDING", parent_task_run_id=made["id"])
    api.propose(run["id"], "RUNNING")
    return str(run["id"])


def test_only_the_process_of_the_run_around_it_is_told(api: Api) -> None:
    root, other = api.run("RUNNING")["id"], api.run("RUNNING")["id"]
    child = below(api, root)
    grandchild = below(api, child)
    stranger = below(api, other)
    engine, others = Reports(api, root), Reports(api, other)
    assert engine.send()["cancel_subflows"] == []
    assert api.propose(grandchild, "CANCELLING").body["status"] == "ACCEPT"
    assert engine.send()["cancel_subflows"] == [grandchild]
    assert engine.send()["cancel"] is False
    assert others.send()["cancel_subflows"] == []
    api.propose(child, "CANCELLING")
    api.propose(stranger, "CANCELLING")
    assert set(engine.send()["cancel_subflows"]) == {child, grandchild}
    assert others.send()["cancel_subflows"] == [stranger]
    for run_id in (grandchild, child):
        assert api.propose(run_id, "CANCELLED").body["status"] == "ACCEPT"
    assert engine.send()["cancel_subflows"] == []
    assert api.get(f"/flow_runs/{root}").body["state_type"] == "RUNNING"
