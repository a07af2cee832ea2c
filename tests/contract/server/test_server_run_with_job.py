"""What may be done to a run whose job may be alive, and by whom."""

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from wire import Api


@dataclass
class Launched:
    """A deployed run with its attempt, claimed by an agent that this test plays.

    Its reach is nobody else's: what agents of other tests have left behind there would be given to it, too.
    """

    api: Api
    reach: str
    agent_id: str
    run_id: str
    attempt_id: str
    token: str

    @property
    def shown(self) -> dict[str, str]:
        return {"X_Penstock_Attempt": f"{self.attempt_id}:{self.token}"}

    def intend(self) -> None:
        body = {"agent_id": self.agent_id, "job_name": f"job-{self.attempt_id}"}
        body |= {"reach": self.reach, "infrastructure_type": "process"}
        assert self.api.post(f"/attempts/{self.attempt_id}/intent", body).status == 200

    def present(self) -> None:
        body = {"token": self.token, "instance_id": str(uuid4())}
        assert self.api.post(f"/attempts/{self.attempt_id}/present", body).status == 200

    def report(self, **fields: Any) -> None:
        report = {"attempt_id": self.attempt_id, "agent_id": self.agent_id, **fields}
        assert self.api.post("/attempts/reports", {"reports": [report]}).status == 200

    def propose(self, kind: str, **fields: Any) -> Any:
        return self.api.post(f"/flow_runs/{self.run_id}/set_state", {"state": {"type": kind, **fields}}, **self.shown)

    def attempt(self) -> dict[str, Any]:
        found: dict[str, Any] = self.api.get(f"/attempts/{self.attempt_id}").body
        return found

    def state(self) -> str:
        return str(self.api.get(f"/flow_runs/{self.run_id}").body["state_type"])


@pytest.fixture
def launched(api: Api) -> Launched:
    queue, reach, agent_id = f"queue-{uuid4().hex[:8]}", f"test:{uuid4()}", str(uuid4())
    deployment = api.post(
        "/deployments/", {"name": f"d-{uuid4().hex[:8]}", "flow_id": api.flow(), "work_queue_name": queue}
    )
    assert deployment.status == 201, deployment
    run = api.post(f"/deployments/{deployment.body['id']}/create_flow_run", {})
    assert run.status == 201, run
    poll = {
        "agent_id": agent_id, "request_id": str(uuid4()), "name": "test", "work_queues": [queue], "capacity": 1,
        "reaches": [reach], "wait_seconds": 5,
    }  # fmt: skip
    (claim,) = api.post("/agents/poll", poll).body["claims"]
    assert claim["flow_run"]["id"] == run.body["id"]
    return Launched(api, reach, agent_id, run.body["id"], claim["attempt"]["id"], claim["token"])


def test_a_run_that_was_only_claimed_is_cancelled_at_once_and_its_attempt_fenced(api: Api, launched: Launched) -> None:
    answer = api.propose(launched.run_id, "CANCELLING")
    assert (answer.status, answer.body["status"]) == (201, "REJECT")
    assert launched.state() == "CANCELLED"
    assert launched.attempt()["status"] == "ENDED"
    refused = launched.propose("RUNNING")
    assert (refused.status, refused.body["code"]) == (409, "attempt_superseded")


def test_a_run_with_a_job_is_cancelled_when_the_job_is_gone(api: Api, launched: Launched) -> None:
    launched.intend()
    launched.present()
    assert launched.propose("RUNNING").body["status"] == "ACCEPT"
    by_user = api.propose(launched.run_id, "CANCELLED")
    assert (by_user.body["status"], launched.state()) == ("REJECT", "CANCELLING")
    assert launched.attempt()["cancel_requested_at"]
    launched.report(gone=True)
    assert launched.state() == "CANCELLED"


def test_the_engine_itself_may_say_that_it_was_cancelled(launched: Launched) -> None:
    launched.intend()
    launched.present()
    launched.propose("RUNNING")
    assert launched.propose("CANCELLED").body["status"] == "ACCEPT"


def test_a_run_that_somebody_ends_from_outside_has_its_job_stopped(api: Api, launched: Launched) -> None:
    launched.intend()
    launched.present()
    launched.propose("RUNNING")
    assert api.propose(launched.run_id, "COMPLETED", force=True).status == 201
    assert launched.attempt()["cancel_requested_at"]
    batch = {"stream": str(uuid4()), "sequence": 1, "flow_run_id": launched.run_id}
    assert api.post("/reports", batch, **launched.shown).body["cancel"] is True


def test_the_engines_last_word_is_on_its_attempt_before_the_agent_has_seen_the_exit(launched: Launched) -> None:
    launched.intend()
    launched.present()
    launched.propose("RUNNING")
    details = {"reason": "UserCodeRaised", "phase": "run", "hint": "Read the traceback."}
    failed = launched.propose("FAILED", message="ValueError: x", state_details=details)
    assert failed.body["state"]["state_details"]["attempt_id"] == launched.attempt_id
    attempt = launched.attempt()
    assert attempt["ended_at"] is None
    assert (attempt["reason"], attempt["phase"], attempt["message"]) == ("UserCodeRaised", "run", "ValueError: x")


def test_a_retry_in_the_process_is_no_new_launch(api: Api, launched: Launched) -> None:
    api.call("PATCH", f"/flow_runs/{launched.run_id}", {"empirical_policy": {"retries": 1}})
    launched.intend()
    launched.present()
    launched.propose("RUNNING")
    assert launched.propose("FAILED").body["state"]["name"] == "AwaitingRetry"
    assert launched.propose("RUNNING", name="Retrying").body["status"] == "ACCEPT"
    assert len(api.get(f"/flow_runs/{launched.run_id}/attempts").body) == 1


def test_a_run_with_a_job_is_not_deleted(api: Api, launched: Launched) -> None:
    launched.intend()
    flow = api.get(f"/flow_runs/{launched.run_id}").body["flow_id"]
    for path in (f"/flow_runs/{launched.run_id}", f"/flows/{flow}"):
        refused = api.call("DELETE", path)
        assert (refused.status, refused.body["code"]) == (409, "run_has_job")
    launched.report(gone=True, failure=True, message="gone")
    assert api.call("DELETE", f"/flows/{flow}").status == 204


def test_every_word_of_an_engine_is_noted_and_a_superseded_one_counts_for_nothing(api: Api, launched: Launched) -> None:
    launched.intend()
    launched.present()
    launched.propose("RUNNING")
    batch: dict[str, Any] = {"stream": str(uuid4()), "sequence": 1, "flow_run_id": launched.run_id}
    assert api.post("/reports", batch, **launched.shown).status == 200
    assert launched.attempt()["last_reported_at"]
    launched.report(observation={"status": "ENDED", "observed_at": "2026-01-01T00:00:00Z", "exit": {"code": 1}})
    assert launched.state() == "CRASHED"
    task = {"flow_run_id": launched.run_id, "task_key": "t", "dynamic_key": "0"}
    for method, path, body in (
        ("POST", "/reports", batch | {"sequence": 2}),
        ("POST", "/task_runs/", task),
        ("PATCH", f"/flow_runs/{launched.run_id}", {"name": "x"}),
        ("POST", f"/flow_runs/{launched.run_id}/set_state", {"state": {"type": "COMPLETED"}}),
    ):
        refused = api.call(method, path, body, **launched.shown)
        assert (refused.status, refused.body["code"]) == (409, "attempt_superseded"), path
    wrong = api.post("/reports", batch, X_Penstock_Attempt=f"{launched.attempt_id}:wrong")
    assert wrong.status == 401


def test_a_finished_run_is_launched_again_when_somebody_asks_for_another_go(api: Api, launched: Launched) -> None:
    launched.intend()
    launched.present()
    launched.propose("RUNNING")
    launched.propose("COMPLETED")
    launched.report(observation={"status": "ENDED", "observed_at": "2026-01-01T00:00:00Z", "exit": {"code": 0}})
    answer = api.propose(launched.run_id, "SCHEDULED", name="AwaitingRetry")
    assert (answer.status, answer.body["status"]) == (201, "ACCEPT")
    run = api.get(f"/flow_runs/{launched.run_id}").body
    assert (run["end_time"], run["empirical_policy"]["retry_type"]) == (None, "reschedule")
    queue = run["work_queue_name"]
    poll = {"agent_id": str(uuid4()), "request_id": str(uuid4()), "name": "b", "work_queues": [queue], "capacity": 1}
    (claim,) = api.post("/agents/poll", poll).body["claims"]
    assert claim["attempt"]["number"] == 2
