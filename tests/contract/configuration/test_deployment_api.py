"""Deployments on the wire, on both databases."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from wire import Api

from penstock.testing import wait_until

SCHEMA = {
    "title": "Parameters",
    "type": "object",
    "properties": {"name": {"title": "name", "type": "string", "default": "world"}, "times": {"type": "integer"}},
    "required": ["times"],
}
HOURLY = {"interval": 3600.0, "anchor_date": "2026-01-01T00:00:00Z", "timezone": "UTC"}


def hourly() -> dict[str, Any]:
    """Every hour, and not within the next half an hour: the times that are planned stay the same meanwhile."""
    return {**HOURLY, "anchor_date": (datetime.now(UTC) + timedelta(minutes=30)).isoformat()}


def deploy(api: Api, **fields: Any) -> dict[str, Any]:
    answer = api.post("/deployments/", {"name": "d", "flow_id": fields.pop("flow_id", None) or api.flow(), **fields})
    assert answer.status == 201, answer
    deployment: dict[str, Any] = answer.body
    return deployment


def start(api: Api, deployment: dict[str, Any], **fields: Any) -> Any:
    return api.post(f"/deployments/{deployment['id']}/create_flow_run", fields)


def planned(api: Api, deployment: dict[str, Any]) -> int:
    asked = {
        "deployments": {"id": {"any_": [deployment["id"]]}},
        "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
    }
    count: int = api.post("/flow_runs/count", asked).body
    return count


def test_a_deployment_that_exists_is_changed_where_something_is_said(api: Api):
    first = deploy(api, tags=["a"], parameters={"x": 1}, description="one", work_queue_name=f"q-{uuid4()}")
    asked = {"name": "d", "flow_id": first["flow_id"], "description": "two", "job_variables": {"env.A": "b"}}
    again = api.post("/deployments/", asked)
    assert again.status == 200
    assert again.body["id"] == first["id"]
    kept = ("tags", "parameters", "work_queue_name")
    assert [again.body[key] for key in kept] == [first[key] for key in kept]
    assert again.body["description"] == "two"
    assert again.body["infra_overrides"] == again.body["job_variables"] == {"env.A": "b"}


def test_a_deployment_has_the_fields_that_clients_expect(api: Api):
    deployment = deploy(api)
    assert {key: deployment[key] for key in ("work_queue_name", "work_pool_name", "status", "paused", "schedules")} == {
        "work_queue_name": "default",
        "work_pool_name": "default-agent-pool",
        "status": "NOT_READY" if deployment["last_polled"] is None else "READY",
        "paused": False,
        "schedules": [],
    }
    assert deployment["enforce_parameter_schema"] is False
    assert deployment["infra_overrides"] == {}


def test_its_queue_is_made_and_its_pool_must_exist(api: Api):
    name = f"q-{uuid4()}"
    deploy(api, work_queue_name=name)
    assert api.get(f"/work_queues/name/{name}").status == 200
    answer = api.post("/deployments/", {"name": "d", "flow_id": api.flow(), "work_pool_name": "defalt-agent-pool"})
    assert answer.status == 404
    assert "Did you mean 'default-agent-pool'?" in answer.body["message"]


def test_it_is_found_by_its_name_and_told_with_the_nearest(api: Api):
    flow = api.post("/flows/", {"name": f"flow-{uuid4()}"}).body
    deployment = deploy(api, flow_id=flow["id"], name="nightly")
    assert api.get(f"/deployments/name/{flow['name']}/nightly").body["id"] == deployment["id"]
    answer = api.get(f"/deployments/name/{flow['name']}/nightyl")
    assert answer.status == 404
    assert f"Did you mean '{flow['name']}/nightly'?" in answer.body["message"]


@pytest.mark.parametrize("name", ["a/b", "100%", "a&b", ""])
def test_a_name_that_cannot_stand_in_a_path_is_refused(api: Api, name: str):
    assert api.post("/deployments/", {"name": name, "flow_id": api.flow()}).status == 422


def test_unknown_fields_flows_and_blocks_are_refused(api: Api):
    answer = api.post("/deployments/", {"name": "d", "flow_id": api.flow(), "work_queue": "q"})
    assert answer.status == 422
    assert "Did you mean 'work_queue_name'?" in answer.body["message"]
    assert api.post("/deployments/", {"name": "d", "flow_id": str(uuid4())}).status == 404
    unknown = {"name": "d", "flow_id": api.flow(), "infrastructure_document_id": str(uuid4())}
    answer = api.post("/deployments/", unknown)
    assert (answer.status, answer.body["code"]) == (409, "unknown_block")


def test_only_given_fields_are_patched(api: Api):
    deployment = deploy(api, tags=["a"], description="d", path="/srv", schedule=HOURLY)
    path = f"/deployments/{deployment['id']}"
    assert api.call("PATCH", path, {"version": "2", "tags": ["b"]}).status == 204
    changed = api.get(path).body
    assert (changed["version"], changed["tags"], changed["description"], changed["path"]) == ("2", ["b"], "d", "/srv")
    assert changed["schedule"] == HOURLY
    assert api.call("PATCH", path, {"description": None, "tags": None}).status == 204
    assert (api.get(path).body["description"], api.get(path).body["tags"]) == (None, ["b"])
    assert api.call("PATCH", f"/deployments/{uuid4()}", {"version": "2"}).status == 404


def test_deployments_are_listed_counted_and_cut_into_pages(api: Api):
    tag = f"tag-{uuid4()}"
    ids = {name: deploy(api, name=name, tags=[tag])["id"] for name in ("b", "c", "a")}
    asked: dict[str, Any] = {"deployments": {"tags": {"all_": [tag]}}}
    assert api.post("/deployments/count", asked).body == 3
    listed = api.post("/deployments/filter", {**asked, "sort": "NAME_DESC", "limit": 2})
    assert [item["name"] for item in listed.body] == ["c", "b"]
    rest = api.post("/deployments/filter", {**asked, "sort": "NAME_DESC", "cursor": listed.headers["X-Next-Cursor"]})
    assert [item["id"] for item in rest.body] == [ids["a"]]
    assert api.post("/deployments/filter", {**asked, "limit": 201}).status == 422
    assert len(api.post("/deployments/filter", {**asked, "limit": None, "offset": None, "sort": None}).body) == 3


def test_a_run_has_what_its_deployment_says(api: Api):
    queue = f"q-{uuid4()}"
    deployment = deploy(api, parameters={"a": 1, "b": 2}, tags=["t"], work_queue_name=queue, version="7")
    answer = start(api, deployment, parameters={"b": 3}, tags=["u", "t"], job_variables={"env.X": "y"})
    run = answer.body
    assert answer.status == 201
    assert (run["parameters"], run["tags"], run["deployment_version"]) == ({"a": 1, "b": 3}, ["t", "u"], "7")
    assert (run["work_queue_name"], run["work_pool_name"]) == (queue, "default-agent-pool")
    assert (run["state_type"], run["state_name"], run["job_variables"]) == ("SCHEDULED", "Scheduled", {"env.X": "y"})
    assert run["expected_start_time"] == run["next_scheduled_start_time"]
    assert run["name"].count("-") == 1
    moved = start(api, deployment, work_queue_name=f"{queue}-2", name="mine").body
    assert (moved["work_queue_name"], moved["name"]) == (f"{queue}-2", "mine")


def test_a_run_can_be_asked_for_with_nothing_but_its_deployment(api: Api):
    deployment = deploy(api)
    assert api.post(f"/deployments/{deployment['id']}/create_flow_run").status == 201
    assert api.post(f"/deployments/{uuid4()}/create_flow_run").status == 404


def test_a_run_is_scheduled_for_the_time_that_is_asked(api: Api):
    time = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    state = {"type": "SCHEDULED", "state_details": {"scheduled_time": time}}
    run = start(api, deploy(api), state=state).body
    assert datetime.fromisoformat(run["next_scheduled_start_time"]) == datetime.fromisoformat(time)


def test_an_idempotency_key_makes_one_run(api: Api):
    deployment = deploy(api)
    first, second = start(api, deployment, idempotency_key="k"), start(api, deployment, idempotency_key="k")
    assert (first.status, second.status) == (201, 200)
    assert first.body["id"] == second.body["id"]


def test_an_unknown_parameter_is_refused_with_the_nearest_name(api: Api):
    deployment = deploy(api, parameter_openapi_schema=SCHEMA)
    answer = start(api, deployment, parameters={"nmae": "x"})
    assert (answer.status, answer.body["code"]) == (409, "unknown_parameter")
    assert "Did you mean 'name'?" in answer.body["message"]
    assert planned(api, deployment) == 0


def test_parameters_must_fit_where_the_schema_is_enforced(api: Api):
    loose = deploy(api, parameter_openapi_schema=SCHEMA)
    assert start(api, loose, parameters={"times": "x"}).status == 201
    assert start(api, loose, parameters={"times": "x"}, enforce_parameter_schema=True).status == 409
    strict = deploy(api, parameter_openapi_schema=SCHEMA, enforce_parameter_schema=True, parameters={"name": "n"})
    missing = start(api, strict)
    assert (missing.status, missing.body["message"]) == (409, "times is missing")
    assert start(api, strict, parameters={"times": 2}).status == 201
    asked = {"name": "x", "flow_id": api.flow(), "parameter_openapi_schema": SCHEMA, "enforce_parameter_schema": True}
    assert api.post("/deployments/", {**asked, "parameters": {"name": 1}}).status == 409


def test_a_schedule_can_be_paused_in_four_ways_and_resumed(api: Api):
    deployment = deploy(api, schedule=HOURLY, is_schedule_active=False)
    path = f"/deployments/{deployment['id']}"
    assert (deployment["paused"], deployment["is_schedule_active"]) == (True, False)
    for resume, pause in (("set_schedule_active", "set_schedule_inactive"), ("resume_deployment", "pause_deployment")):
        assert api.post(f"{path}/{resume}").status == 200
        assert (api.get(path).body["paused"], api.get(path).body["is_schedule_active"]) == (False, True)
        assert api.post(f"{path}/{pause}").status == 200
        assert (api.get(path).body["paused"], api.get(path).body["is_schedule_active"]) == (True, False)
    api.call("PATCH", path, {"paused": False})
    assert api.get(path).body["is_schedule_active"] is True
    api.call("PATCH", path, {"is_schedule_active": False})
    assert api.get(path).body["paused"] is True


def test_schedules_are_added_changed_and_removed_one_by_one(api: Api):
    cron = {"cron": "0 9 * * 1-5", "timezone": "America/New_York", "day_or": True}
    deployment = deploy(api, schedules=[{"schedule": HOURLY, "active": True}], paused=True)
    path = f"/deployments/{deployment['id']}/schedules"
    assert deployment["schedule"] == deployment["schedules"][0]["schedule"] == HOURLY
    created = api.post(path, [{"schedule": cron, "active": False}])
    assert created.status == 201
    second = created.body[0]
    assert (second["schedule"], second["active"], second["deployment_id"]) == (cron, False, deployment["id"])
    assert api.call("PATCH", f"{path}/{second['id']}", {"active": True, "max_scheduled_runs": 5}).status == 204
    listed = {item["id"]: item for item in api.get(path).body}
    assert (listed[second["id"]]["active"], listed[second["id"]]["max_scheduled_runs"]) == (True, 5)
    assert listed[second["id"]]["schedule"] == cron
    assert api.call("DELETE", f"{path}/{second['id']}").status == 204
    assert api.call("DELETE", f"{path}/{second['id']}").status == 404
    assert [item["schedule"] for item in api.get(path).body] == [HOURLY]
    assert api.post(path, [{"schedule": {"cron": "0 9 *"}}]).status == 422


def test_planned_runs_follow_the_schedule(api: Api):
    deployment = deploy(api, schedule=hourly())
    path = f"/deployments/{deployment['id']}"
    wait_until(lambda: planned(api, deployment) > 0, message="the scheduler plans a new deployment's runs")
    before = planned(api, deployment)
    assert api.post(f"{path}/schedule").status == 200
    assert planned(api, deployment) == before, "planning twice plans once"
    api.post(f"{path}/pause_deployment")
    assert planned(api, deployment) == 0
    api.post(f"{path}/resume_deployment")
    wait_until(lambda: planned(api, deployment) == before, message="a resumed deployment is planned again")
    assert api.call("DELETE", path).status == 204
    assert planned(api, deployment) == 0


def test_a_deleted_deployment_takes_its_waiting_runs_along_and_leaves_the_others(api: Api):
    deployment = deploy(api)
    waiting, begun = start(api, deployment).body, start(api, deployment).body
    api.propose(begun["id"], "PENDING")
    api.propose(begun["id"], "RUNNING")
    assert api.call("DELETE", f"/deployments/{deployment['id']}").status == 204
    assert api.get(f"/flow_runs/{waiting['id']}").status == 404
    assert api.get(f"/flow_runs/{begun['id']}").body["deployment_id"] is None
    assert api.call("DELETE", f"/deployments/{deployment['id']}").status == 404


def test_the_queues_of_a_deployment_are_told(api: Api):
    deployment = deploy(api, work_queue_name=f"q-{uuid4()}")
    queues = api.get(f"/deployments/{deployment['id']}/work_queue_check").body
    assert [queue["name"] for queue in queues] == [deployment["work_queue_name"]]


def test_a_block_that_a_deployment_uses_cannot_be_deleted(api: Api):
    block_type = api.get("/block_types/slug/json").body
    asked = {"block_schemas": {"block_type_id": {"any_": [block_type["id"]]}}}
    schema = api.post("/block_schemas/filter", asked).body[0]
    ids = {"block_type_id": block_type["id"], "block_schema_id": schema["id"]}
    block = api.post("/block_documents/", {"name": f"b-{uuid4()}", "data": {"value": 1}, **ids}).body
    deployment = deploy(api, storage_document_id=block["id"])
    answer = api.call("DELETE", f"/block_documents/{block['id']}")
    assert (answer.status, answer.body["code"]) == (409, "block_in_use")
    assert api.call("PATCH", f"/deployments/{deployment['id']}", {"storage_document_id": None}).status == 204
    assert api.call("DELETE", f"/block_documents/{block['id']}").status == 204
