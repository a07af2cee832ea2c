"""Long polls over HTTP, at a real server on either database."""

import json
import socket
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from wire import Api

from penstock.testing import wait_until

#: Seconds that a poll is ready to wait, and that its answer may take: longer than any of these should.
POLL, ANSWER = 60, 120


class Place:
    """A deployment with a queue of its own, and agents that ask for it, each with a connection of its own."""

    def __init__(self, api: Api) -> None:
        self.api, self.queue = api, f"queue-{uuid4()}"
        self._threads = ThreadPoolExecutor(4)
        body = {"name": "d", "flow_id": api.flow(), "work_queue_name": self.queue, "entrypoint": "f.py:f"}
        self.deployment = api.post("/deployments/", body).body["id"]

    def run(self, due: float = 0.0) -> str:
        time = (datetime.now(UTC) + timedelta(seconds=due)).isoformat()
        state = {"type": "SCHEDULED", "state_details": {"scheduled_time": time}}
        answer = self.api.post(f"/deployments/{self.deployment}/create_flow_run", {"state": state})
        return str(answer.body["id"])

    def question(self, agent_id: str | None = None, **fields: Any) -> dict[str, Any]:
        ids = {"agent_id": agent_id or str(uuid4()), "request_id": str(uuid4())}
        return {**ids, "name": "agent", "work_queues": [self.queue], "wait_seconds": POLL, **fields}

    def poll(self, agent_id: str | None = None, **fields: Any) -> Any:
        with Api(self.api.url) as connection:
            return connection.post("/agents/poll", self.question(agent_id, **fields)).body

    def poll_aside(self, agent_id: str | None = None, **fields: Any) -> "Future[Any]":
        """A poll that waits while the test goes on; returns once the server knows the agent."""
        agent_id = agent_id or str(uuid4())
        future = self._threads.submit(self.poll, agent_id, **fields)
        wait_until(lambda: future.done() or self._is_known(agent_id), message="the poll does not arrive")
        return future

    def _is_known(self, agent_id: str) -> bool:
        return any(agent["id"] == agent_id for agent in self.api.post("/agents/filter", {}).body)

    def close(self) -> None:
        self._threads.shutdown()


@pytest.fixture
def place(api: Api) -> Iterator[Place]:
    made = Place(api)
    yield made
    made.close()


def runs_in(orders: Any) -> list[str]:
    return [claim["flow_run"]["id"] for claim in orders["claims"]]


def test_a_due_run_reaches_an_agent_that_waits(place: Place) -> None:
    agent_id, held, times = str(uuid4()), [], []
    for _ in range(15):
        waiting = place.poll_aside(agent_id, attempts=list(held))
        began = monotonic()
        run_id = place.run()
        orders = waiting.result(ANSWER)
        times.append(monotonic() - began)
        assert runs_in(orders) == [run_id]
        held.append(orders["claims"][0]["attempt"]["id"])
    times.sort()
    print(f"request of a run -> answer to the poll that waits: p50 {times[7] * 1e3:.1f}, max {times[-1] * 1e3:.1f} ms")


def test_a_run_that_becomes_due_while_an_agent_waits_reaches_it(place: Place) -> None:
    waiting = place.poll_aside()
    run_id = place.run(due=0.7)
    orders = waiting.result(ANSWER)
    assert runs_in(orders) == [run_id]
    claim = orders["claims"][0]
    assert claim["attempt"]["claimed_at"] >= claim["flow_run"]["expected_start_time"]


def test_a_poll_with_nothing_to_say_ends_when_its_time_is_up(place: Place) -> None:
    orders = place.poll(wait_seconds=0.2)
    assert (orders["claims"], orders["release"], orders["cancel"]) == ([], [], [])
    assert orders["lease_seconds"] > 0


def test_a_newer_poll_of_the_same_agent_ends_the_older_one_with_nothing(place: Place) -> None:
    agent_id = str(uuid4())
    older = place.poll_aside(agent_id)
    newer = place.poll_aside(agent_id)
    assert runs_in(older.result(ANSWER)) == []
    run_id = place.run()
    assert runs_in(newer.result(ANSWER)) == [run_id]


def test_nothing_is_claimed_for_an_agent_that_has_hung_up(place: Place) -> None:
    agent_id = str(uuid4())
    address = urlsplit(place.api.url)
    body = json.dumps(place.question(agent_id)).encode()
    head = "POST /api/agents/poll HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    head += f"Content-Length: {len(body)}\r\n\r\n"
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(head.encode() + body)
        wait_until(lambda: place._is_known(agent_id))
    run_id = place.run()
    assert runs_in(place.poll()) == [run_id]


def test_a_cancel_order_reaches_an_agent_that_waits(place: Place) -> None:
    agent_id, run_id = str(uuid4()), place.run()
    attempt_id = place.poll(agent_id)["claims"][0]["attempt"]["id"]
    intent = {"agent_id": agent_id, "job_name": "job", "reach": "here", "infrastructure_type": "process"}
    assert place.api.post(f"/attempts/{attempt_id}/intent", intent).status == 200
    waiting = place.poll_aside(agent_id, attempts=[attempt_id])
    answer = place.api.propose(run_id, "CANCELLING")
    assert answer.body["state"]["type"] == "CANCELLING"
    assert [order["attempt_id"] for order in waiting.result(ANSWER)["cancel"]] == [attempt_id]
    report = {"attempt_id": attempt_id, "agent_id": agent_id, "gone": True}
    (result,) = place.api.post("/attempts/reports", {"reports": [report]}).body
    assert result == {"attempt_id": attempt_id, "known": True, "status": "ENDED"}
    assert place.api.get(f"/flow_runs/{run_id}").body["state_type"] == "CANCELLED"


def test_presenting_over_http_takes_the_token_and_refuses_with_409(place: Place) -> None:
    run_id, agent_id = place.run(), str(uuid4())
    claim = place.poll(agent_id)["claims"][0]
    path = f"/attempts/{claim['attempt']['id']}/present"
    shown = {"token": claim["token"], "instance_id": str(uuid4())}
    presented = place.api.post(path, shown)
    assert presented.status == 200
    assert presented.body["flow_run"]["id"] == run_id
    assert presented.body["deployment"]["entrypoint"] == "f.py:f"
    assert place.api.post(path, shown).status == 200
    other = place.api.post(path, {**shown, "instance_id": str(uuid4())})
    assert (other.status, other.body["code"]) == (409, "attempt_taken")
    assert place.api.post(path, {**shown, "token": "x"}).status == 401
    place.api.propose(run_id, "FAILED", force=True)
    late = place.api.post(path, shown)
    assert (late.status, late.body["code"]) == (409, "attempt_superseded")


def test_attempts_and_explanations_can_be_read(place: Place) -> None:
    run_id = place.run()
    explained = place.api.get(f"/flow_runs/{run_id}/explain").body
    assert explained["flow_run_id"] == run_id
    assert "No agent has ever asked" in explained["explanation"]
    claim = place.poll()["claims"][0]
    (attempt,) = place.api.get(f"/flow_runs/{run_id}/attempts").body
    assert attempt["id"] == claim["attempt"]["id"]
    assert place.api.get(f"/attempts/{attempt['id']}").body["number"] == 1
    assert "has taken it" in place.api.get(f"/flow_runs/{run_id}/explain").body["explanation"]
    assert place.api.get(f"/attempts/{uuid4()}").status == 404


def test_a_field_that_a_poll_does_not_have_is_refused_by_name(place: Place) -> None:
    answer = place.api.post("/agents/poll", place.question(capasity=3))
    assert answer.status == 422
    assert "Did you mean 'capacity'?" in answer.body["message"]
