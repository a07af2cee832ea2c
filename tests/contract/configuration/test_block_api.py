"""Block types, schemas and documents on the wire, on both databases."""

from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr
from wire import Api

MASK = "********"
FIELDS = {
    "title": "Vault",
    "type": "object",
    "properties": {
        "user": {"title": "User", "type": "string"},
        "password": {"title": "Password", "type": "string", "writeOnly": True, "format": "password"},
        "extra": {"title": "Extra", "type": "object"},
        "inner": {"title": "Inner", "type": "object"},
    },
    "secret_fields": ["password", "extra.*", "inner.token"],
    "block_schema_references": {},
}


class Kind:
    """A block type of its own for one test."""

    def __init__(self, api: Api) -> None:
        self.api, self.slug = api, f"vault-{uuid4()}"
        self.type_id = api.post("/block_types/", {"name": "Vault", "slug": self.slug}).body["id"]
        self.schema_id = self.schema(FIELDS).body["id"]

    def schema(self, fields: dict[str, Any], **more: Any) -> Any:
        body = {"fields": {**fields, "block_type_slug": self.slug}, "block_type_id": self.type_id, **more}
        return self.api.post("/block_schemas/", body)

    def save(self, name: str | None, data: dict[str, Any], query: str = "", **more: Any) -> Any:
        ids = {"block_type_id": self.type_id, "block_schema_id": self.schema_id}
        return self.api.post(f"/block_documents/{query}", {"name": name, "data": data, **ids, **more})

    def read(self, name: str, secrets: bool = False) -> Any:
        path = f"/block_types/slug/{self.slug}/block_documents/name/{name}"
        return self.api.get(f"{path}?include_secrets={str(secrets).lower()}")


@pytest.fixture
def kind(api: Api) -> Kind:
    return Kind(api)


def test_types_that_come_with_the_server_are_there_and_protected(api: Api):
    process = api.get("/block_types/slug/process").body
    assert process["is_protected"] is True
    assert process["name"] == "Process"
    answer = api.call("DELETE", f"/block_types/{process['id']}")
    assert (answer.status, answer.body["code"]) == (403, "protected_block_type")
    assert api.post("/block_types/install_system_block_types").status == 200
    assert api.get("/block_types/slug/process").body["id"] == process["id"]


def test_a_type_is_created_read_changed_listed_and_deleted(api: Api, kind: Kind):
    assert api.post("/block_types/", {"name": "Vault", "slug": kind.slug}).status == 409
    assert api.call("PATCH", f"/block_types/{kind.type_id}", {"description": "d"}).status == 204
    assert api.get(f"/block_types/{kind.type_id}").body["description"] == "d"
    listed = api.post("/block_types/filter", {"block_types": {"slug": {"any_": [kind.slug]}}}).body
    assert [item["id"] for item in listed] == [kind.type_id]
    assert api.call("DELETE", f"/block_types/{kind.type_id}").status == 204
    assert api.get(f"/block_types/{kind.type_id}").status == 404


def test_an_unknown_type_is_told_with_the_nearest_slug(api: Api):
    answer = api.get("/block_types/slug/proces")
    assert answer.status == 404
    assert "Did you mean 'process'?" in answer.body["message"]


def test_types_are_found_by_what_their_schemas_can_do(api: Api):
    asked = {"block_schemas": {"block_capabilities": {"all_": ["run-infrastructure"]}}}
    slugs = [item["slug"] for item in api.post("/block_types/filter", asked).body]
    assert "process" in slugs
    assert "secret" not in slugs
    assert "run-infrastructure" in api.get("/block_capabilities/").body


def test_a_schema_with_the_same_checksum_and_version_is_the_same(api: Api, kind: Kind):
    again = kind.schema(FIELDS)
    assert (again.status, again.body["id"]) == (200, kind.schema_id)
    other = kind.schema(FIELDS, version="2")
    assert other.status == 201
    assert other.body["checksum"] == again.body["checksum"]
    checksum = again.body["checksum"]
    assert api.get(f"/block_schemas/checksum/{checksum}?version=2").body["id"] == other.body["id"]
    assert api.get(f"/block_schemas/checksum/{checksum}").body["id"] == other.body["id"]
    assert api.get(f"/block_schemas/checksum/{checksum}?version=3").status == 404
    asked = {"block_schemas": {"block_type_id": {"any_": [kind.type_id]}}}
    assert len(api.post("/block_schemas/filter", asked).body) == 2


def test_secrets_are_shown_only_when_they_are_asked_for(api: Api, kind: Kind):
    data = {"user": "u", "password": "pw", "extra": {"k": "v", "n": None}, "inner": {"token": "t", "host": "h"}}
    created = kind.save("mine", data)
    assert created.status == 201
    masked = {"user": "u", "password": MASK, "extra": {"k": MASK, "n": None}, "inner": {"token": MASK, "host": "h"}}
    assert created.body["data"] == masked
    assert kind.read("mine").body["data"] == masked
    assert kind.read("mine", secrets=True).body["data"] == data
    asked = {"block_documents": {"block_type_id": {"any_": [kind.type_id]}}}
    assert api.post("/block_documents/filter", asked).body[0]["data"] == masked
    assert api.post("/block_documents/filter", {**asked, "include_secrets": True}).body[0]["data"] == data
    body = kind.read("mine").body
    assert body["block_type_name"] == "Vault"
    assert body["block_schema"]["fields"]["title"] == "Vault"
    assert body["block_type"]["slug"] == kind.slug


def test_a_mask_that_comes_back_keeps_the_secret(api: Api, kind: Kind):
    document = kind.save("mine", {"user": "u", "password": "pw", "extra": {"k": "v"}}).body
    path = f"/block_documents/{document['id']}"
    assert api.call("PATCH", path, {"data": {**document["data"], "user": "u2"}}).status == 204
    assert kind.read("mine", secrets=True).body["data"] == {"user": "u2", "password": "pw", "extra": {"k": "v"}}
    assert api.call("PATCH", path, {"data": {"password": str(SecretStr("what pydantic shows"))}}).status == 204
    assert kind.read("mine", secrets=True).body["data"]["password"] == "pw"
    assert api.call("PATCH", path, {"data": {"password": "new"}}).status == 204
    assert kind.read("mine", secrets=True).body["data"]["password"] == "new"
    assert api.call("PATCH", path, {"data": {"password": None}, "merge_existing_data": False}).status == 204
    assert kind.read("mine", secrets=True).body["data"] == {"password": None}


def test_a_mask_is_never_a_value(api: Api, kind: Kind):
    for mask in (MASK, str(SecretStr("what pydantic shows"))):
        refused = kind.save("mine", {"password": mask})
        assert (refused.status, refused.body["code"]) == (422, "mask_as_value")
    document = kind.save("mine", {"user": "u"}).body
    refused = api.call("PATCH", f"/block_documents/{document['id']}", {"data": {"extra": {"k": MASK}}})
    assert (refused.status, refused.body["code"]) == (422, "mask_as_value")
    assert kind.read("mine", secrets=True).body["data"] == {"user": "u"}


def test_a_taken_name_is_a_conflict_that_names_it(kind: Kind):
    kind.save("mine", {})
    answer = kind.save("mine", {})
    assert answer.status == 409
    assert f"{kind.slug}/mine exists already" in answer.body["detail"]


@pytest.mark.parametrize("name", ["Mine", "my block", "mine/yours", "ü"])
def test_a_name_that_cannot_stand_in_a_path_is_refused(kind: Kind, name: str):
    assert kind.save(name, {}).status == 422


def test_an_unknown_field_is_refused_with_the_nearest_one(kind: Kind):
    answer = kind.save("mine", {"pasword": "x"})
    assert (answer.status, answer.body["code"]) == (422, "unknown_field")
    assert "Did you mean 'password'?" in answer.body["message"]


def test_a_document_without_a_name_is_anonymous_and_not_listed(api: Api, kind: Kind):
    document = kind.save(None, {"user": "u"}, is_anonymous=True).body
    assert document["is_anonymous"] is True
    assert document["name"].startswith("anonymous-")
    asked = {"block_documents": {"block_type_id": {"any_": [kind.type_id]}}}
    assert api.post("/block_documents/filter", asked).body == []
    asked["block_documents"]["is_anonymous"] = {"eq_": True}
    assert [item["id"] for item in api.post("/block_documents/filter", asked).body] == [document["id"]]
    assert api.post("/block_documents/count", asked).body == 1


def test_a_missing_document_is_told_with_the_nearest_name(kind: Kind):
    kind.save("mine", {})
    answer = kind.read("mime")
    assert answer.status == 404
    assert "Did you mean 'mine'?" in answer.body["message"]


def test_a_reference_is_read_in_place_and_told_apart(api: Api, kind: Kind):
    inner = kind.save("inner", {"user": "i", "password": "ipw"}).body
    reference = {"$ref": {"block_document_id": inner["id"]}}
    outer = kind.save("outer", {"user": "o", "inner": reference}).body
    assert outer["data"]["inner"] == {"user": "i", "password": MASK}
    told = outer["block_document_references"]["inner"]["block_document"]
    assert (told["id"], told["name"], told["block_type"]["slug"]) == (inner["id"], "inner", kind.slug)
    assert kind.read("outer", secrets=True).body["data"]["inner"] == {"user": "i", "password": "ipw"}
    api.call("PATCH", f"/block_documents/{inner['id']}", {"data": {"user": "i2"}})
    assert kind.read("outer").body["data"]["inner"]["user"] == "i2"


def test_a_document_that_is_used_cannot_be_deleted(api: Api, kind: Kind):
    inner = kind.save("inner", {}).body
    outer = kind.save("outer", {"inner": {"$ref": {"block_document_id": inner["id"]}}}).body
    answer = api.call("DELETE", f"/block_documents/{inner['id']}")
    assert (answer.status, answer.body["code"]) == (409, "block_in_use")
    assert f"{kind.slug}/outer" in answer.body["message"]
    assert api.call("DELETE", f"/block_documents/{outer['id']}").status == 204
    assert api.call("DELETE", f"/block_documents/{inner['id']}").status == 204
    assert api.call("DELETE", f"/block_documents/{inner['id']}").status == 404


def test_a_reference_must_lead_somewhere_and_not_back(api: Api, kind: Kind):
    nowhere = {"$ref": {"block_document_id": str(uuid4())}}
    assert kind.save("outer", {"inner": nowhere}).body["code"] == "unknown_reference"
    first = kind.save("first", {}).body
    second = kind.save("second", {"inner": {"$ref": {"block_document_id": first["id"]}}}).body
    back = {"data": {"inner": {"$ref": {"block_document_id": second["id"]}}}}
    answer = api.call("PATCH", f"/block_documents/{first['id']}", back)
    assert (answer.status, answer.body["code"]) == (422, "circular_reference")


def test_a_new_schema_drops_what_it_does_not_know_and_hides_what_was_secret(api: Api, kind: Kind):
    document = kind.save("mine", {"user": "u", "password": "pw", "extra": {"k": "v"}}).body
    open_fields = {"properties": {"password": {"type": "string"}}, "secret_fields": []}
    newer = kind.schema(open_fields).body["id"]
    answer = api.call("PATCH", f"/block_documents/{document['id']}", {"data": {}, "block_schema_id": newer})
    assert answer.status == 204
    assert kind.read("mine").body["data"] == {"password": MASK}
    assert kind.read("mine", secrets=True).body["data"] == {"password": "pw"}


def test_documents_are_sorted_and_cut_into_pages(api: Api, kind: Kind):
    for name in ("b", "c", "a"):
        kind.save(name, {})
    asked: dict[str, Any] = {"block_documents": {"block_type_id": {"any_": [kind.type_id]}}}

    def names(**more: Any) -> list[str]:
        return [item["name"] for item in api.post("/block_documents/filter", {**asked, **more}).body]

    assert names() == ["a", "b", "c"]
    assert names(sort="NAME_DESC", limit=2) == ["c", "b"]
    assert names(offset=1, limit=None) == ["b", "c"]
    assert names(sort="BLOCK_TYPE_AND_NAME_ASC", limit=0) == []
    assert api.post("/block_documents/filter", {"limit": 201}).status == 422
    assert api.post("/block_documents/filter", {"blocks": {}}).status == 422
