"""An agent that waits is woken by whatever lets a run start: over HTTP, at a real server on either database."""

import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Any
from uuid import uuid4

import pytest
from wire import Api

from penstock.testing import wait_until

#: Seconds that a poll is ready to wait: longer than any of these answers takes.
POLL = 60


class Line:
    """A queue of its own, a deployment in it, and an agent that has one of its runs while another one waits."""

    def __init__(self, api: Api, **fields: Any) -> None:
        self.api, self.queue, self.tag = api, f"queue-{uuid4()}", f"tag-{uuid4()}"
        body = {"name": "d", "flow_id": api.flow(), "work_queue_name": self.queue, "entrypoint": "f.py:f", **fields}
        self.deployment = api.post("/deployments/", body).body["id"]
        self.queue_id = api.get(f"/work_queues/name/{self.queue}").body["id"]
        self.agent_id = str(uuid4())

    def run(self) -> str:
        return str(self.api.post(f"/deployments/{self.deployment}/create_flow_run", {"tags": [self.tag]}).body["id"])

    def poll(self, **fields: Any) -> Any:
        question = {"agent_id": self.agent_id, "request_id": str(uuid4()), "name": "agent", **fields}
        with Api(self.api.url) as connection:
            return connection.post("/agents/poll", {"work_queues": [self.queue], **question}).body

    def change_queue(self, **values: Any) -> None:
        assert self.api.call("PATCH", f"/work_queues/{self.queue_id}", values).status == 204

    def explains(self, run_id: str, words: str) -> bool:
        return words in self.api.get(f"/flow_runs/{run_id}/explain").body["explanation"]


def woken_by(line: Line, remedy: Callable[[], Any], what: str, **asked: Any) -> list[str]:
    """The runs that a waiting poll brings once `remedy` was called. The poll is under way for some time before."""
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(line.poll, wait_seconds=POLL, **asked)
        with contextlib.suppress(AssertionError):
            wait_until(waiting.done, 0.4)
        assert not waiting.done(), waiting.result()
        began = monotonic()
        remedy()
        orders = waiting.result(120)
    print(f"{what} -> answer to the poll that waits: {(monotonic() - began) * 1e3:.1f} ms")
    return [claim["flow_run"]["id"] for claim in orders["claims"]]


def test_a_queue_that_is_resumed_and_one_whose_limit_is_raised(api: Api) -> None:
    line = Line(api)
    line.change_queue(is_paused=True)
    run_id = line.run()
    assert woken_by(line, lambda: line.change_queue(is_paused=False), "resumed") == [run_id]
    line.change_queue(is_paused=False, concurrency_limit=0)
    other = Line(api)
    other.queue, other.queue_id = line.queue, line.queue_id
    run_id = line.run()
    assert woken_by(other, lambda: line.change_queue(concurrency_limit=2), "limit raised") == [run_id]


@pytest.mark.parametrize("remedy", ["limit raised", "limit cleared", "run over"])
def test_a_deployment_with_room_again(api: Api, remedy: str) -> None:
    line = Line(api, concurrency_limit=1)
    holder = line.run()
    assert [claim["flow_run"]["id"] for claim in line.poll()["claims"]] == [holder]
    run_id = line.run()
    wait_until(lambda: line.explains(run_id, "The concurrency limit of deployment"))
    other = Line(api)
    other.queue = line.queue
    path = f"/deployments/{line.deployment}"
    steps: dict[str, Callable[[], Any]] = {
        "limit raised": lambda: api.call("PATCH", path, {"concurrency_limit": 2}),
        "limit cleared": lambda: api.call("PATCH", path, {"concurrency_limit": None}),
        "run over": lambda: api.propose(holder, "FAILED", force=True),
    }
    assert woken_by(other, steps[remedy], remedy) == [run_id]


def test_a_slot_of_a_tag_that_a_run_of_another_queue_held(api: Api) -> None:
    line, other = Line(api), Line(api)
    other.tag = line.tag
    assert api.post("/flow_run_tag_limits/", {"tag": line.tag, "concurrency_limit": 1}).status == 200
    holder = line.run()
    assert len(line.poll()["claims"]) == 1
    run_id = other.run()
    use = api.get(f"/flow_run_tag_limits/slots/{line.tag}").body
    assert (use["concurrency_limit"], use["taken"]) == (1, 1)
    assert [live["flow_run_id"] for live in use["live_runs"]] == [holder]
    assert woken_by(other, lambda: api.propose(holder, "FAILED", force=True), "slot of a tag") == [run_id]
    last = line.run()
    third = Line(api)
    third.queue = line.queue
    gone = woken_by(third, lambda: api.call("DELETE", f"/flow_run_tag_limits/tag/{line.tag}"), "limit of a tag removed")
    assert gone == [last]


def test_a_queue_that_is_made_while_an_agent_waits_for_such_names(api: Api) -> None:
    prefix = f"later-{uuid4().hex[:8]}"
    made: list[str] = []
    asked = {"work_queues": [], "work_queue_prefixes": [f"{prefix}-*"]}

    def make() -> None:
        body = {"name": "d", "flow_id": api.flow(), "work_queue_name": f"{prefix}-1", "entrypoint": "f.py:f"}
        deployment = api.post("/deployments/", body).body["id"]
        made.append(api.post(f"/deployments/{deployment}/create_flow_run", {}).body["id"])

    assert woken_by(Line(api), make, "queue made", **asked) == made


def test_user_code_that_has_begun_where_an_agent_ramps_up(api: Api) -> None:
    line = Line(api)
    line.run(), line.run()
    (claim,) = line.poll(ramp_up=1, capacity=5)["claims"]
    attempt_id = claim["attempt"]["id"]
    intent = {"agent_id": line.agent_id, "job_name": "job", "reach": "here", "infrastructure_type": "process"}
    assert api.post(f"/attempts/{attempt_id}/intent", intent).status == 200
    shown = {"token": claim["token"], "instance_id": str(uuid4())}
    brought = woken_by(
        line,
        lambda: api.post(f"/attempts/{attempt_id}/present", shown),
        "user code has begun",
        ramp_up=1,
        capacity=5,
        attempts=[attempt_id],
    )
    assert len(brought) == 1


def test_who_holds_slots_can_be_read_of_queue_pool_and_deployment(api: Api) -> None:
    line = Line(api, concurrency_limit=7)
    run_id = line.run()
    line.poll()
    for path, limit in (
        (f"/work_queues/{line.queue_id}/slots", None),
        (f"/deployments/{line.deployment}/slots", 7),
    ):
        use = api.get(path).body
        assert (use["concurrency_limit"], use["taken"]) == (limit, 1)
        (live,) = use["live_runs"]
        assert (live["flow_run_id"], live["state_name"], live["agent_name"]) == (run_id, "Pending", "agent")
        assert live["since"] is not None
    in_pool = api.get("/work_pools/default-agent-pool/slots").body
    assert run_id in [live["flow_run_id"] for live in in_pool["live_runs"]]
    assert api.get(f"/deployments/{uuid4()}/slots").status == 404
    assert "Did you mean 'default-agent-pool'" in api.get("/work_pools/default-agent-pol/slots").body["message"]
