"""A run is not made with job variables that its infrastructure does not have: whoever asks is told at once."""

from typing import Any

import pytest
from wire import Api


def _deployed(api: Api, **fields: Any) -> str:
    flow = api.post("/flows/", {"name": "of-variables"}).body["id"]
    made = api.post("/deployments/", {"name": f"d{len(fields)}", "flow_id": flow, **fields})
    assert made.status in {200, 201}, made.body
    return str(made.body["id"])


def _asked(api: Api, deployment: str, variables: dict[str, Any]) -> Any:
    return api.post(f"/deployments/{deployment}/create_flow_run", {"job_variables": variables})


@pytest.mark.parametrize("variables", [{"env.A": "1"}, {"env": {"A": 1}}, {"working_dir": "/x", "labels": {}}, {}])
def test_names_that_a_process_has_are_taken(api: Api, variables: dict[str, Any]) -> None:
    made = _asked(api, _deployed(api), variables)
    assert (made.status, made.body["job_variables"]) == (201, variables)


@pytest.mark.parametrize(("wrong", "right"), [("evn.A", "env"), ("working_dri", "working_dir")])
def test_a_name_that_it_does_not_have_is_refused_with_the_nearest_one(api: Api, wrong: str, right: str) -> None:
    refused = _asked(api, _deployed(api), {wrong: "1"})
    assert refused.status == 422
    assert refused.body["code"] == "unknown_override"
    assert f"Did you mean '{right}'?" in refused.body["message"]


def test_a_value_that_its_field_cannot_hold_is_refused(api: Api) -> None:
    refused = _asked(api, _deployed(api), {"run_timeout": "long"})
    assert (refused.status, refused.body["code"]) == (422, "invalid_override")
    assert "it has to be a number, not 'long'" in refused.body["message"]


def test_the_type_of_the_deployments_own_block_counts(api: Api) -> None:
    kind = api.get("/block_types/slug/kubernetes-job").body["id"]
    schema = api.post("/block_schemas/filter", {"block_schemas": {"block_type_id": {"any_": [kind]}}}).body[0]["id"]
    block = api.post(
        "/block_documents/",
        {"is_anonymous": True, "block_type_id": kind, "block_schema_id": schema, "data": {"image": "flows:1"}},
    )
    assert block.status == 201, block.body
    deployment = _deployed(api, infrastructure_document_id=block.body["id"])
    assert _asked(api, deployment, {"namespace": "dev"}).status == 201
    refused = _asked(api, deployment, {"working_dir": "/x"})
    assert refused.status == 422
    assert "namespace" in refused.body["hint"]


def test_a_type_of_which_nothing_is_known_takes_all_names(api: Api) -> None:
    kind = api.post("/block_types/", {"name": "Own Infrastructure", "slug": "own-infrastructure"}).body["id"]
    schema = api.post("/block_schemas/", {"fields": {}, "block_type_id": kind, "capabilities": []}).body["id"]
    block = api.post(
        "/block_documents/", {"is_anonymous": True, "block_type_id": kind, "block_schema_id": schema, "data": {}}
    )
    assert block.status == 201, block.body
    assert _asked(api, _deployed(api, infrastructure_document_id=block.body["id"]), {"anything": 1}).status == 201
