"""What the server takes as a block's data: what fits its schema."""

from typing import Any
from uuid import UUID

import pytest
from block_server import FIELDS, Vaults
from wire import Api

MASK = "********"


@pytest.fixture
def vaults(api: Api) -> Vaults:
    return Vaults(api)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"port": "PLANTED"}, "data.port: a whole number is needed, not a text."),
        ({"port": 0}, "data.port: it does not fit the schema's minimum 1."),
        ({"user": 5}, "data.user: a text is needed, not a whole number."),
        ({"on": 1}, "data.on: true or false is needed, not a whole number."),
        ({"level": "hihg"}, "Did you mean 'high'?"),
        ({"env": {"A": True}}, "data.env.A: a text is needed, not a truth value."),
        ({"tags": ["a", {"b": 1}]}, "data.tags.1: a text is needed, not an object."),
        ({"tags": "PLANTED"}, "data.tags: a list is needed, not a text."),
        ({"deep": {"token": "PLANTED"}}, "data.deep.host: this field is needed."),
        ({"inner": 5}, "data.inner: Inner or a text is needed"),
        ({"password": ["PLANTED"]}, "data.password: a text is needed, not a list."),
        ({"prot": 5}, "Did you mean 'port'?"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_name_and_never_shown(vaults: Vaults, data: Any, message: str):
    answer = vaults.save("mine", data)
    assert answer.status == 422
    assert message in answer.body["message"]
    assert "PLANTED" not in str(answer.body)
    assert vaults.listed() == []


@pytest.mark.parametrize(
    "data",
    [
        dict.fromkeys(FIELDS["properties"]),
        {"port": "${env:PORT}", "on": "${env:ON:-true}", "level": "${file:/etc/level}", "tags": "${env:TAGS}"},
        {"inner": "text", "value": [1, {"a": None}], "port": 5, "on": False, "level": "low"},
        {"inner": {"host": "h", "more": 1}, "deep": {"host": "h", "token": "t"}},
        {"extra": {"a": {"b": ["c"]}}, "keys": ["a", "b"]},
    ],
)
def test_null_and_texts_that_stand_for_values_fit_everywhere(vaults: Vaults, data: Any):
    assert vaults.read(vaults.saved("mine", data), secrets=True).body["data"] == data


def test_a_reference_fits_wherever_a_block_may_stand(vaults: Vaults):
    inner = vaults.saved("inner", {"user": "u"})
    outer = vaults.saved("outer", {"deep": {"$ref": {"block_document_id": str(inner)}}})
    assert vaults.read(outer).body["data"]["deep"]["user"] == "u"


def test_a_change_is_judged_by_what_it_changes(api: Api):
    vaults = Vaults(api, {"properties": {"a": {"type": "string"}, "b": {"type": "string"}}})
    document = vaults.saved("mine", {"a": "x", "b": "y"})
    newer = vaults.schema({"properties": {"a": {"type": "integer"}, "b": {"type": "string"}}}).body["id"]
    moved = vaults.change(document, {"b": "z"}, block_schema_id=newer)
    assert (moved.status, moved.body["code"]) == (422, "unfit_field")
    assert vaults.change(document, {"b": 5}).status == 422
    assert vaults.change(document, {"a": "q"}).status == 204


def test_a_schema_that_is_none_is_refused(api: Api, vaults: Vaults):
    answer = vaults.schema({"properties": {"a": {"type": "texxt"}}})
    assert (answer.status, answer.body["code"]) == (422, "broken_schema")
    assert answer.body["message"].startswith("fields.properties.a.type:")


def test_the_mask_is_a_value_nowhere(vaults: Vaults):
    for data in ({"user": MASK}, {"value": [{"a": MASK}]}, {"env": {"LEVEL": MASK}}, {"user": f"s3://a:{MASK}@h/p"}):
        answer = vaults.save("mine", data)
        assert (answer.status, answer.body["code"]) == (422, "mask_as_value"), data


def test_variables_named_like_secrets_and_passwords_in_urls_are_masked_and_kept(vaults: Vaults):
    data = {
        "env": {"DB_PASSWORD": "hush", "LEVEL": "debug", "API_KEY": "${env:API_KEY}"},
        "user": "postgresql://me:hush@host/db",
        "value": [{"name": "api_token", "value": "hush"}, {"name": "LEVEL", "value": "debug"}],
    }
    document = vaults.saved("mine", data)
    shown = vaults.read(document).body["data"]
    assert "hush" not in str(shown)
    assert shown["env"] == {"DB_PASSWORD": MASK, "LEVEL": "debug", "API_KEY": "${env:API_KEY}"}
    assert shown["user"] == f"postgresql://me:{MASK}@host/db"
    assert vaults.change(document, {**shown, "port": 1}).status == 204
    assert vaults.read(document, secrets=True).body["data"] == {**data, "port": 1}


def test_a_mask_in_a_list_never_becomes_another_items_secret(vaults: Vaults):
    document = vaults.saved("mine", {"doors": [{"code": "a"}, {"code": "b"}, {"code": "c"}], "keys": ["k"]})
    answer = vaults.change(document, {"doors": [{"code": MASK}, {"code": MASK}]})
    assert (answer.status, answer.body["code"]) == (422, "mask_as_value")
    assert vaults.change(document, {"doors": [{"code": MASK}, {"code": "new"}, {"code": MASK}]}).status == 204
    kept = {"doors": [{"code": "a"}, {"code": "new"}, {"code": "c"}], "keys": ["k"]}
    assert vaults.read(document, secrets=True).body["data"] == kept
    named = [{"name": "a_token", "value": "1"}, {"name": "b_token", "value": "2"}]
    document = vaults.saved("named", {"value": named})
    shown = vaults.read(document).body["data"]["value"]
    assert vaults.change(document, {"value": shown[::-1]}).status == 204
    assert vaults.read(document, secrets=True).body["data"]["value"] == named[::-1]


def test_who_uses_a_block_is_told(api: Api, vaults: Vaults):
    inner = vaults.saved("inner", {})
    reference = {"$ref": {"block_document_id": str(inner)}}
    outer = vaults.saved("outer", {"inner": reference, "value": [reference]})
    flow = api.flow()
    deployed = api.post("/deployments/", {"name": "d", "flow_id": flow, "infrastructure_document_id": str(inner)})
    assert deployed.status in (200, 201), deployed
    users = api.get(f"/block_documents/{inner}/used_by").body
    assert [(user["id"], user["fields"]) for user in users["block_documents"]] == [(str(outer), ["inner", "value.0"])]
    assert [(user["name"], user["uses_as"]) for user in users["deployments"]] == [("d", ["infrastructure"])]
    unused = {"block_documents": [], "deployments": [], "notification_policies": []}
    assert api.get(f"/block_documents/{outer}/used_by").body == unused
    assert api.get(f"/block_documents/{flow}/used_by").status == 404


def test_a_change_that_a_deployment_could_not_live_with_is_refused(api: Api):
    vaults = Vaults(api)
    runs = vaults.schema({"properties": {"user": {"type": "string"}}}, capabilities=["run-infrastructure"]).body["id"]
    ids = {"block_type_id": vaults.type_id, "block_schema_id": runs}
    document = UUID(api.post("/block_documents/", {"name": "mine", "data": {}, **ids}).body["id"])
    body = {"name": "d", "flow_id": api.flow(), "infrastructure_document_id": str(document)}
    assert api.post("/deployments/", body).status in (200, 201)
    answer = vaults.change(document, {"user": "u"}, block_schema_id=vaults.schema_id)
    assert (answer.status, answer.body["code"]) == (409, "block_in_use")
    assert "/d, which needs run-infrastructure" in answer.body["message"]
    assert vaults.change(document, {"user": "u"}).status == 204


def test_lists_of_blocks_go_on_after_a_cursor(api: Api, vaults: Vaults):
    other = Vaults(api)
    for name in ("a", "b", "c"):
        vaults.saved(name, {})
        other.saved(name, {})
    asked: dict[str, Any] = {"block_documents": {"block_type_id": {"any_": [vaults.type_id, other.type_id]}}}

    for sort in ("NAME_ASC", "NAME_DESC", "BLOCK_TYPE_AND_NAME_ASC"):
        body = {**asked, "sort": sort}
        whole = [item["id"] for item in api.post("/block_documents/filter", body).body]
        found: list[str] = []
        cursor = None
        while cursor is not None or not found:
            answer = api.post("/block_documents/filter", {**body, "limit": 2, "cursor": cursor})
            found += [item["id"] for item in answer.body]
            cursor = answer.headers["X-Next-Cursor"]
        assert found == whole
    first = api.post("/block_types/filter", {"limit": 1})
    second = api.post("/block_types/filter", {"limit": 1, "cursor": first.headers["X-Next-Cursor"]})
    assert api.post("/block_types/filter", {"limit": 2}).body == first.body + second.body
    first = api.post("/block_schemas/filter", {"limit": 1})
    second = api.post("/block_schemas/filter", {"limit": 1, "cursor": first.headers["X-Next-Cursor"]})
    assert api.post("/block_schemas/filter", {"limit": 2}).body == first.body + second.body
