"""Work pools, work queues and workers on the wire, on both databases."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from wire import Api


@pytest.fixture
def pool(api: Api) -> str:
    """The name of a new pool."""
    name = f"pool-{uuid4()}"
    assert api.post("/work_pools/", {"name": name, "type": "process"}).status == 201
    return name


def scheduled(api: Api, pool: str, queue: str = "default", seconds: float = 0) -> dict[str, Any]:
    """A run of a new deployment in that queue, due so many seconds from now."""
    asked = {"name": "d", "flow_id": api.flow(), "work_pool_name": pool, "work_queue_name": queue}
    deployment = api.post("/deployments/", asked)
    assert deployment.status == 201, deployment
    time = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
    state = {"type": "SCHEDULED", "state_details": {"scheduled_time": time}}
    run = api.post(f"/deployments/{deployment.body['id']}/create_flow_run", {"state": state})
    assert run.status == 201, run
    found: dict[str, Any] = run.body
    return found


def test_the_default_pool_and_its_queue_are_there(api: Api):
    pool = api.get("/work_pools/default-agent-pool").body
    queue = api.get("/work_queues/name/default").body
    assert (queue["id"], queue["work_pool_id"]) == (pool["default_queue_id"], pool["id"])
    assert api.call("DELETE", "/work_pools/default-agent-pool").status == 403
    assert api.call("DELETE", f"/work_queues/{queue['id']}").status == 403


@pytest.mark.parametrize("name", ["prefect", "Prefect-agents", "PREFECTX"])
def test_reserved_names_are_refused(api: Api, name: str):
    answer = api.post("/work_pools/", {"name": name})
    assert (answer.status, answer.body["code"]) == (403, "reserved_name")


def test_a_pool_is_created_read_changed_listed_and_deleted(api: Api, pool: str):
    created = api.get(f"/work_pools/{pool}").body
    assert (created["type"], created["status"], created["is_paused"]) == ("process", "NOT_READY", False)
    assert api.get(f"/work_pools/{pool}/queues/default").body["id"] == created["default_queue_id"]
    assert api.post("/work_pools/", {"name": pool}).status == 409
    change = {"description": "dd", "concurrency_limit": 4, "is_paused": True}
    assert api.call("PATCH", f"/work_pools/{pool}", change).status == 204
    changed = api.get(f"/work_pools/{pool}").body
    assert {key: changed[key] for key in change} == change
    assert changed["status"] == "PAUSED"
    assert api.call("PATCH", f"/work_pools/{pool}", {"concurrency_limit": None}).status == 204
    assert api.get(f"/work_pools/{pool}").body["concurrency_limit"] is None
    asked = {"work_pools": {"name": {"any_": [pool]}}}
    assert [item["name"] for item in api.post("/work_pools/filter", asked).body] == [pool]
    assert api.post("/work_pools/count", asked).body == 1
    assert api.call("DELETE", f"/work_pools/{pool}").status == 204
    answer = api.get(f"/work_pools/{pool}")
    assert (answer.status, answer.body["detail"].startswith(f'Work pool "{pool}" not found.')) == (404, True)


def test_a_missing_pool_is_told_with_the_nearest_name(api: Api):
    answer = api.get("/work_pools/default-agent-pol/queues/default")
    assert answer.status == 404
    assert "Did you mean 'default-agent-pool'?" in answer.body["message"]


def test_queues_of_a_pool_have_priorities_in_the_order_they_were_made(api: Api, pool: str):
    path = f"/work_pools/{pool}/queues"
    assert api.post(path, {"name": "b", "description": None}).body["priority"] == 2
    assert api.post(path, {"name": "a"}).body["priority"] == 3
    first = api.post(path, {"name": "urgent", "priority": 1}).body
    assert (first["priority"], first["work_pool_name"], first["description"]) == (1, pool, "")
    assert [queue["name"] for queue in api.post(f"{path}/filter").body] == ["default", "urgent", "b", "a"]
    starts = {"work_queues": {"name": {"startswith_": ["ur"]}}}
    assert [queue["name"] for queue in api.post(f"{path}/filter", starts).body] == ["urgent"]


def test_a_queue_is_created_read_changed_and_deleted(api: Api):
    name = f"q-{uuid4()}"
    queue = api.post("/work_queues/", {"name": name, "concurrency_limit": 2}).body
    path = f"/work_queues/{queue['id']}"
    assert (queue["work_pool_name"], queue["status"]) == ("default-agent-pool", "NOT_READY")
    answer = api.post("/work_queues/", {"name": name})
    assert (answer.status, answer.body["code"]) == (409, "work_queue_exists")
    assert api.call("PATCH", path, {"is_paused": True, "concurrency_limit": None}).status == 204
    changed = api.get(f"/work_queues/name/{name}").body
    assert (changed["status"], changed["concurrency_limit"]) == ("PAUSED", None)
    assert api.call("PATCH", path, {"description": "d"}).status == 204
    assert api.get(path).body["is_paused"] is True, "what is not given stays"
    assert api.call("PATCH", path, {"concurrency_limit": -1}).status == 422
    assert api.call("DELETE", path).status == 204
    assert api.get(path).status == 404


def test_a_queue_is_found_by_its_name_and_told_with_the_nearest(api: Api, pool: str):
    api.post(f"/work_pools/{pool}/queues", {"name": "nightly"})
    answer = api.get(f"/work_pools/{pool}/queues/nightyl")
    assert answer.status == 404
    assert "Did you mean 'nightly'?" in answer.body["message"]


def test_a_renamed_queue_keeps_its_deployments_and_runs(api: Api, pool: str):
    run = scheduled(api, pool, "old")
    assert api.call("PATCH", f"/work_pools/{pool}/queues/old", {"name": "new"}).status == 204
    assert api.get(f"/flow_runs/{run['id']}").body["work_queue_name"] == "new"
    assert api.get(f"/deployments/{run['deployment_id']}").body["work_queue_name"] == "new"
    assert api.call("PATCH", f"/work_pools/{pool}/queues/new", {"name": "default"}).status == 409


def test_waiting_runs_are_told_by_priority_and_time(api: Api, pool: str):
    api.post(f"/work_pools/{pool}/queues", {"name": "low"})
    late, early = scheduled(api, pool, "low", -5), scheduled(api, pool, "low", -9)
    first, future = scheduled(api, pool, "default"), scheduled(api, pool, "low", 3600)

    def asked(**body: Any) -> list[str]:
        answer = api.post(f"/work_pools/{pool}/get_scheduled_flow_runs", body)
        assert answer.status == 200, answer
        return [item["flow_run"]["id"] for item in answer.body]

    now = datetime.now(UTC).isoformat()
    assert asked(scheduled_before=now) == [first["id"], early["id"], late["id"]]
    assert asked(scheduled_before=now, limit=2) == [first["id"], early["id"]]
    assert asked(work_queue_names=["low"], scheduled_after=now) == [future["id"]]
    queue = api.get(f"/work_pools/{pool}/queues/low").body
    runs = api.post(f"/work_queues/{queue['id']}/get_runs", {"scheduled_before": now}).body
    assert [run["id"] for run in runs] == [early["id"], late["id"]]
    ids = {"deployment_ids": [late["deployment_id"], future["deployment_id"]]}
    runs = api.post("/deployments/get_scheduled_flow_runs", ids).body
    assert [run["id"] for run in runs] == [late["id"], future["id"]]


def test_the_limit_of_a_deployment_holds_its_waiting_runs_back_and_no_others(api: Api, pool: str):
    body = {"name": "d", "flow_id": api.flow(), "work_queue_name": "a", "work_pool_name": pool, "concurrency_limit": 1}
    deployment = api.post("/deployments/", body).body["id"]
    first, second = (api.post(f"/deployments/{deployment}/create_flow_run", {}).body["id"] for _ in range(2))
    other = scheduled(api, pool, "a", -1)["id"]
    path = f"/work_queues/{api.get(f'/work_pools/{pool}/queues/a').body['id']}/get_runs"
    assert {run["id"] for run in api.post(path, {}).body} == {first, other}
    api.propose(first, "PENDING")
    assert [run["id"] for run in api.post(path, {}).body] == [other]
    api.propose(first, "RUNNING")
    api.propose(first, "COMPLETED")
    assert {run["id"] for run in api.post(path, {}).body} == {second, other}


def test_limits_and_pauses_hold_waiting_runs_back(api: Api, pool: str):
    one, two = scheduled(api, pool, "a", -2), scheduled(api, pool, "a", -1)
    queue = api.get(f"/work_pools/{pool}/queues/a").body
    path = f"/work_queues/{queue['id']}"

    def waiting() -> list[str]:
        return [run["id"] for run in api.post(f"{path}/get_runs", {}).body]

    assert waiting() == [one["id"], two["id"]]
    api.call("PATCH", path, {"concurrency_limit": 1})
    assert waiting() == [one["id"]]
    api.propose(one["id"], "PENDING")
    assert waiting() == []
    api.call("PATCH", path, {"concurrency_limit": None})
    assert waiting() == [two["id"]]
    api.call("PATCH", f"/work_pools/{pool}", {"concurrency_limit": 1})
    assert waiting() == []
    api.call("PATCH", f"/work_pools/{pool}", {"concurrency_limit": 2, "is_paused": True})
    assert waiting() == []
    api.call("PATCH", f"/work_pools/{pool}", {"is_paused": False})
    assert waiting() == [two["id"]]
    api.call("PATCH", path, {"is_paused": True})
    assert waiting() == []


def test_a_queue_is_ready_when_it_is_polled_but_not_when_a_person_looks(api: Api):
    queue = api.post("/work_queues/", {"name": f"q-{uuid4()}"}).body
    path = f"/work_queues/{queue['id']}"
    policy = {"maximum_late_runs": 0, "maximum_seconds_since_last_polled": 60}
    api.post(f"{path}/get_runs", {}, x_prefect_ui="true")
    status = api.get(f"{path}/status").body
    assert status == {"healthy": False, "late_runs_count": 0, "last_polled": None, "health_check_policy": policy}
    api.post(f"{path}/get_runs", {})
    assert api.get(path).body["status"] == "READY"
    assert api.get(f"{path}/status").body["healthy"] is True


def test_what_deployments_and_runs_need_cannot_be_deleted(api: Api, pool: str):
    run = scheduled(api, pool, "a")
    answer = api.call("DELETE", f"/work_pools/{pool}/queues/a")
    assert (answer.status, answer.body["code"]) == (409, "work_queue_in_use")
    assert api.call("DELETE", f"/work_pools/{pool}").status == 409
    moved = {"work_queue_name": "b"}
    assert api.call("PATCH", f"/deployments/{run['deployment_id']}", moved).status == 204
    answer = api.call("DELETE", f"/work_pools/{pool}/queues/a")
    assert (answer.status, answer.body["code"]) == (409, "runs_waiting")
    api.propose(run["id"], "CANCELLED")
    assert api.call("DELETE", f"/work_pools/{pool}/queues/a").status == 204
    assert api.get(f"/deployments/{run['deployment_id']}").body["work_pool_name"] == pool


def test_workers_are_listed_after_their_heartbeat(api: Api, pool: str):
    beat = {"name": "w1", "heartbeat_interval_seconds": 20}
    for _ in range(2):
        assert api.post(f"/work_pools/{pool}/workers/heartbeat", beat).status == 204
    [worker] = api.post(f"/work_pools/{pool}/workers/filter").body
    assert (worker["name"], worker["status"], worker["heartbeat_interval_seconds"]) == ("w1", "ONLINE", 20)
    offline = {"workers": {"status": {"any_": ["OFFLINE"]}}}
    assert api.post(f"/work_pools/{pool}/workers/filter", offline).body == []
    assert api.call("DELETE", f"/work_pools/{pool}/workers/w1").status == 204
    assert api.call("DELETE", f"/work_pools/{pool}/workers/w1").status == 404
    assert api.post("/work_pools/none/workers/heartbeat", beat).status == 404
