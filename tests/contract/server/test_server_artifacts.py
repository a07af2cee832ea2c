"""Artifacts on the wire, on both databases: every version is kept, and the newest of each key is known."""

from typing import Any
from uuid import uuid4

import pytest
from wire import Api


def new(api: Api, **fields: Any) -> dict[str, Any]:
    answer = api.post("/artifacts/", {"type": "markdown", "data": "# Hi", **fields})
    assert answer.status == 201, answer
    created: dict[str, Any] = answer.body
    return created


def latest(api: Api, key: str) -> str | None:
    """The id of the newest artifact of a key, as both roads tell it."""
    read = api.get(f"/artifacts/{key}/latest")
    listed = api.post("/artifacts/latest/filter", {"artifacts": {"key": {"any_": [key]}}}).body
    if read.status == 404:
        assert listed == []
        return None
    assert [one["latest_id"] for one in listed] == [read.body["id"]]
    return str(read.body["id"])


@pytest.mark.parametrize("data", ["# Hi", '[{"a": 1}]', {"a": [1, None]}, [1, 2], 0.5, None])
def test_an_artifact_is_kept_as_it_was_sent(api: Api, data: Any):
    run_id, task_run_id = api.run()["id"], str(uuid4())
    fields = {"key": f"k-{uuid4()}", "type": "table", "description": "d", "data": data, "metadata_": {"a": "b"}}
    created = new(api, flow_run_id=run_id, task_run_id=task_run_id, **fields)
    assert {name: created[name] for name in fields} == fields
    assert (created["flow_run_id"], created["task_run_id"]) == (run_id, task_run_id)
    assert api.get(f"/artifacts/{created['id']}").body == created


def test_the_newest_of_a_key_is_known_when_artifacts_come_and_go(api: Api):
    key = f"k-{uuid4()}"
    assert latest(api, key) is None
    first, second, third = (new(api, key=key, data=number)["id"] for number in range(3))
    assert latest(api, key) == third
    assert api.call("DELETE", f"/artifacts/{first}").status == 204
    assert latest(api, key) == third
    assert api.call("DELETE", f"/artifacts/{third}").status == 204
    assert latest(api, key) == second
    assert api.call("DELETE", f"/artifacts/{second}").status == 204
    assert latest(api, key) is None
    assert api.call("DELETE", f"/artifacts/{second}").status == 404


@pytest.mark.parametrize("deleted", ["run", "flow"])
def test_the_newest_of_a_key_is_known_when_runs_go(api: Api, deleted: str):
    key, other = f"k-{uuid4()}", f"k-{uuid4()}"
    run = api.run()
    kept = new(api, key=key, flow_run_id=api.run()["id"])["id"]
    gone = new(api, key=key, flow_run_id=run["id"])["id"]
    new(api, key=other, flow_run_id=run["id"])
    assert latest(api, key) == gone
    path = f"/flow_runs/{run['id']}" if deleted == "run" else f"/flows/{run['flow_id']}"
    assert api.call("DELETE", path).status == 204
    assert latest(api, key) == kept
    assert latest(api, other) is None
    assert api.get(f"/artifacts/{gone}").status == 404


def test_artifacts_without_a_key_are_nobodys_newest(api: Api):
    run_id = api.run()["id"]
    new(api, flow_run_id=run_id)
    of_run = {"flow_runs": {"id": {"any_": [run_id]}}}
    assert api.post("/artifacts/count", of_run).body == 1
    assert api.post("/artifacts/latest/count", of_run).body == 0


def test_a_creation_that_is_repeated_with_its_id_is_one(api: Api):
    asked = {"id": str(uuid4()), "key": f"k-{uuid4()}", "data": "1"}
    first = api.post("/artifacts/", asked)
    newer = new(api, key=asked["key"])["id"]
    again = api.post("/artifacts/", asked)
    assert (first.status, again.status) == (201, 201)
    assert first.body == again.body
    assert latest(api, str(asked["key"])) == newer


def test_an_artifact_is_changed(api: Api):
    created = new(api, key=f"k-{uuid4()}", description="d", metadata_={"a": "b"})
    path = f"/artifacts/{created['id']}"
    assert api.call("PATCH", path, {"data": 0.5}).status == 204
    changed = api.get(path).body
    assert changed["updated"] > created["updated"]
    assert {**changed, "updated": None} == {**created, "data": 0.5, "updated": None}
    assert api.call("PATCH", path, {"description": None, "metadata_": {"c": "d"}}).status == 204
    changed = api.get(path).body
    assert (changed["data"], changed["description"], changed["metadata_"]) == (0.5, None, {"c": "d"})
    assert api.call("PATCH", path, {"key": "other"}).status == 422
    assert api.call("PATCH", f"/artifacts/{uuid4()}", {"data": 1}).status == 404


@pytest.mark.parametrize("fields", [{"key": "Up"}, {"key": "a_b"}, {"key": ""}, {"datta": 1}, {"metadata_": {"a": {}}}])
def test_an_artifact_that_cannot_be_is_refused(api: Api, fields: dict[str, Any]):
    assert api.post("/artifacts/", fields).status == 422


def test_an_artifact_of_a_run_that_does_not_exist_is_refused(api: Api):
    answer = api.post("/artifacts/", {"key": "k", "flow_run_id": str(uuid4())})
    assert (answer.status, answer.body["code"]) == (409, "integrity")


def test_lists_are_narrowed_down_by_every_part_of_a_filter(api: Api):
    mark, run = uuid4().hex, api.run(name="filtered")
    task_run_id = api.post(
        "/task_runs/", {"flow_run_id": run["id"], "task_key": "t", "dynamic_key": "0", "name": "t-0"}
    ).body["id"]
    one = new(api, key=f"{mark}-one", flow_run_id=run["id"])
    two = new(api, key=f"{mark}-two", type="table", task_run_id=task_run_id)
    three = new(api, key=f"{mark}-three", type=None)
    keyless = new(api, type=mark)
    mine = [item["id"] for item in (one, two, three, keyless)]

    def found(noun: str = "artifacts", **query: Any) -> set[str]:
        identifier = "id" if noun == "artifacts" else "latest_id"
        filters = dict(query.pop("artifacts", {}))
        if "operator" not in filters:
            filters = {identifier: {"any_": mine}} | filters
        asked = {"artifacts": filters, **query}
        answer = api.post(f"/{noun}/filter", asked)
        assert answer.status == 200, answer
        assert api.post(f"/{noun}/count", asked).body == len(answer.body)
        named = {item["id"]: name for name, item in zip(("1", "2", "3", "-"), (one, two, three, keyless), strict=True)}
        return {named[item[identifier]] for item in answer.body}

    for noun in ("artifacts", "artifacts/latest"):
        everything = {"1", "2", "3"} | ({"-"} if noun == "artifacts" else set())
        assert found(noun) == everything
        assert found(noun, artifacts={"key": {"any_": [one["key"]]}}) == {"1"}
        assert found(noun, artifacts={"key": {"like_": f"{mark.upper()}-T"}}) == {"2", "3"}
        assert found(noun, artifacts={"key": {"exists_": True}}) == {"1", "2", "3"}
        assert found(noun, artifacts={"key": {"exists_": False}}) == everything - {"1", "2", "3"}
        assert found(noun, artifacts={"flow_run_id": {"any_": [run["id"]]}}) == {"1"}
        assert found(noun, artifacts={"task_run_id": {"any_": [task_run_id]}}) == {"2"}
        assert found(noun, artifacts={"type": {"any_": ["table"]}}) == {"2"}
        assert found(noun, artifacts={"type": {"not_any_": ["table", mark]}}) == {"1", "3"}
        either = {"operator": "or_", "key": {"any_": [one["key"]]}, "task_run_id": {"any_": [task_run_id]}}
        assert found(noun, artifacts=either) == {"1", "2"}
        assert found(noun, flow_runs={"name": {"any_": ["filtered"]}}) == {"1"}
        assert found(noun, flows={"id": {"any_": [run["flow_id"]]}}) == {"1"}
        assert found(noun, deployments={"id": {"any_": [str(uuid4())]}}) == set()
        assert found(noun, task_runs={"name": {"any_": ["t-0"]}}) == {"2"}
        assert api.post(f"/{noun}/filter", {"artifacts": {"kye": {}}}).status == 422


def test_lists_are_sorted_and_paged(api: Api):
    mark = uuid4().hex
    ids = {key: new(api, key=f"{mark}-{key}")["id"] for key in "bac"}
    api.call("PATCH", f"/artifacts/{ids['a']}", {"data": "new"})
    given = {"artifacts": {"key": {"like_": mark}}}
    for noun in ("artifacts", "artifacts/latest"):

        def order(noun: str = noun, **asked: Any) -> str:
            return "".join(one["key"][-1] for one in api.post(f"/{noun}/filter", {**given, **asked}).body)

        sorts = ("KEY_ASC", "KEY_DESC", "CREATED_DESC", "UPDATED_DESC")
        assert [order(sort=sort) for sort in sorts] == ["abc", "cba", "cab", "acb"]
        assert set(order(sort=None)) == set("abc")
        assert order(sort="KEY_ASC", limit=1, offset=1) == "b"
        page = api.post(f"/{noun}/filter", {**given, "sort": "CREATED_DESC", "limit": 2})
        assert order(sort="CREATED_DESC", cursor=page.headers["X-Next-Cursor"]) == "b"
    by_id = [one["id"] for one in api.post("/artifacts/filter", given).body]
    assert by_id == sorted(ids.values(), reverse=True)
