"""Variables on the wire, on both databases."""

from typing import Any
from uuid import uuid4

import pytest
from wire import Api


def new(api: Api, **fields: Any) -> dict[str, Any]:
    answer = api.post("/variables/", {"name": f"v-{uuid4()}", "value": "1", **fields})
    assert answer.status == 201, answer
    created: dict[str, Any] = answer.body
    return created


def names(api: Api, **asked: Any) -> list[str]:
    answer = api.post("/variables/filter", asked)
    assert answer.status == 200, answer
    return [one["name"] for one in answer.body]


def test_a_variable_is_created_and_read_by_name_and_id(api: Api):
    created = new(api, value="ä", tags=["a"])
    assert set(created) == {"id", "created", "updated", "name", "value", "tags"}
    assert (created["value"], created["tags"]) == ("ä", ["a"])
    assert api.get(f"/variables/name/{created['name']}").body == created
    assert api.get(f"/variables/{created['id']}").body == created
    assert new(api)["tags"] == []


def test_a_name_is_taken_once(api: Api):
    created = new(api)
    again = api.post("/variables/", {"name": created["name"], "value": "2"})
    assert (again.status, again.body["code"]) == (409, "variable_exists")
    assert api.get(f"/variables/{created['id']}").body["value"] == "1"


def test_a_creation_that_is_repeated_with_its_id_is_one(api: Api):
    asked = {"id": str(uuid4()), "name": f"v-{uuid4()}", "value": "1"}
    first, second = api.post("/variables/", asked), api.post("/variables/", asked)
    assert (first.status, second.status) == (201, 201)
    assert first.body == second.body
    assert api.post("/variables/", {**asked, "id": str(uuid4())}).status == 409


@pytest.mark.parametrize("by_name", [True, False])
def test_a_variable_is_changed_and_deleted(api: Api, by_name: bool):
    created = new(api, tags=["a"])
    path = f"/variables/name/{created['name']}" if by_name else f"/variables/{created['id']}"
    assert api.call("PATCH", path, {"value": "2"}).status == 204
    changed = api.get(path).body
    assert (changed["value"], changed["tags"], changed["created"]) == ("2", ["a"], created["created"])
    assert changed["updated"] > created["updated"]
    assert api.call("PATCH", path, {"tags": []}).status == 204
    assert api.get(path).body["tags"] == []
    assert api.call("DELETE", path).status == 204
    for method in ("GET", "PATCH", "DELETE"):
        assert api.call(method, path, {} if method == "PATCH" else None).status == 404


def test_a_variable_is_renamed_unless_the_name_is_taken(api: Api):
    one, other = new(api), new(api)
    assert api.call("PATCH", f"/variables/{one['id']}", {"name": other["name"]}).status == 409
    name = f"v-{uuid4()}"
    assert api.call("PATCH", f"/variables/{one['id']}", {"name": name}).status == 204
    assert api.get(f"/variables/name/{name}").body["id"] == one["id"]


def test_a_missing_variable_is_told_with_the_nearest_name(api: Api):
    name = new(api, name=f"warehouse_{uuid4().hex}")["name"]
    answer = api.get(f"/variables/name/{name[:-1]}")
    assert answer.status == 404
    assert f"Did you mean '{name}'?" in answer.body["message"]


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "Upper", "value": "1"},
        {"name": "with space", "value": "1"},
        {"name": "", "value": "1"},
        {"name": "a" * 256, "value": "1"},
        {"name": "long", "value": "1" * 5001},
        {"name": "number", "value": 1},
        {"name": "unknown", "value": "1", "tgas": []},
        {"name": "nothing"},
    ],
)
def test_a_variable_that_cannot_be_is_refused(api: Api, fields: dict[str, Any]):
    assert api.post("/variables/", fields).status == 422


def test_the_longest_name_and_value_are_taken(api: Api):
    name = uuid4().hex + "_" * (255 - 32)
    assert api.get(f"/variables/name/{new(api, name=name, value='1' * 5000)['name']}").body["value"] == "1" * 5000


def test_a_list_is_narrowed_down_by_every_part_of_a_filter(api: Api):
    mark = uuid4().hex
    one = new(api, name=f"{mark}_one", value=f"first {mark}", tags=["x", "y"])
    two = new(api, name=f"{mark}_two", value=f"Second {mark}", tags=["x"])
    new(api, name=f"{mark}_three", value="3")

    def found(**parts: Any) -> list[str]:
        given = {"name": {"like_": mark.upper()}} | parts
        listed = names(api, variables=given)
        assert api.post("/variables/count", {"variables": given}).body == len(listed)
        return [name.removeprefix(f"{mark}_") for name in listed]

    assert found() == ["one", "three", "two"]
    assert found(id={"any_": [one["id"], two["id"]]}) == ["one", "two"]
    assert found(name={"any_": [one["name"]]}) == ["one"]
    assert found(value={"any_": [f"first {mark}"]}) == ["one"]
    assert found(value={"like_": f"second {mark}"}) == ["two"]
    assert found(tags={"all_": ["x"]}) == ["one", "two"]
    assert found(tags={"all_": ["x", "y"]}) == ["one"]
    assert found(tags={"is_null_": True}) == ["three"]
    parts = {"id": {"any_": [one["id"]]}, "value": {"any_": [f"Second {mark}"]}}
    assert found(operator="or_", name={"any_": [one["name"]]}, **parts) == ["one", "two"]
    assert found(**parts) == []
    assert api.post("/variables/filter", {"variables": {"nmae": {}}}).status == 422


def test_a_list_is_sorted_and_paged(api: Api):
    mark = uuid4().hex
    for name in ("b", "a", "c"):
        new(api, name=f"{mark}_{name}")
    api.call("PATCH", f"/variables/name/{mark}_a", {"value": "2"})
    given = {"name": {"like_": mark}}

    def order(sort: str | None) -> str:
        return "".join(name[-1] for name in names(api, variables=given, sort=sort))

    assert [order(sort) for sort in ("NAME_ASC", "NAME_DESC", "CREATED_DESC", "UPDATED_DESC")] == [
        "abc",
        "cba",
        "cab",
        "acb",
    ]
    assert order(None) == "abc"
    assert names(api, variables=given, limit=1, offset=1) == [f"{mark}_b"]
    first = api.post("/variables/filter", {"variables": given, "limit": 2})
    cursor = first.headers["X-Next-Cursor"]
    assert names(api, variables=given, cursor=cursor) == [f"{mark}_c"]
    assert api.post("/variables/filter", {"sort": "VALUE_ASC"}).status == 422
    assert api.post("/variables/filter").status == 200
    assert api.post("/variables/count").body >= 3
