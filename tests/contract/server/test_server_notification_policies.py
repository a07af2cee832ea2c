"""Notification policies on the wire, on both databases: what is taken and refused, and which states are put down."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from wire import Answer, Api

ROOT = "/flow_run_notification_policies/"
UNKNOWN = "00000000-0000-0000-0000-000000000001"


def save_block(api: Api, slug: str = "slack-webhook", **data: Any) -> str:
    block_type = api.get(f"/block_types/slug/{slug}").body
    (schema,) = api.post(
        "/block_schemas/filter", {"block_schemas": {"block_type_id": {"any_": [block_type["id"]]}}}
    ).body
    ids = {"block_type_id": block_type["id"], "block_schema_id": schema["id"]}
    data = data or {"url": "http://127.0.0.1:9/hook"}
    answer = api.post("/block_documents/", {"name": f"b-{uuid4()}", "data": data, **ids})
    assert answer.status == 201, answer
    return str(answer.body["id"])


@pytest.fixture
def block(api: Api) -> str:
    return save_block(api)


@pytest.fixture
def tag(api: Api) -> Iterator[str]:
    """A tag of one test: policies that are made with it are paused afterwards, so that nothing is tried for ever."""
    found = f"tag-{uuid4()}"
    yield found
    for policy in listed(api):
        if found in policy["tags"]:
            api.call("DELETE", ROOT + policy["id"])


def asked(block: str, tag: str, **fields: Any) -> dict[str, Any]:
    return {"state_names": ["Failed"], "tags": [tag], "block_document_id": block, **fields}


def new(api: Api, block: str, tag: str, **fields: Any) -> dict[str, Any]:
    answer = api.post(ROOT, asked(block, tag, **fields))
    assert answer.status == 201, answer
    created: dict[str, Any] = answer.body
    return created


def listed(api: Api, **fields: Any) -> list[dict[str, Any]]:
    answer = api.post(ROOT + "filter", fields)
    assert answer.status == 200, answer
    found: list[dict[str, Any]] = answer.body
    return found


def deliveries(api: Api, policy: dict[str, Any]) -> list[dict[str, Any]]:
    answer = api.get(f"{ROOT}{policy['id']}/deliveries?limit=200")
    assert answer.status == 200, answer
    found: list[dict[str, Any]] = answer.body
    return found


def told(api: Api, policy: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["flow_run_id"], one["state_name"]) for one in reversed(deliveries(api, policy))]


def refused(answer: Answer, *words: str) -> None:
    assert answer.status == 422, answer
    for word in words:
        assert word in answer.body["message"], answer


def test_a_policy_is_made_and_read_in_the_shape_of_the_api(api: Api, block: str, tag: str):
    created = new(api, block, tag)
    assert created == {
        "id": created["id"],
        "created": created["created"],
        "updated": created["created"],
        "is_active": True,
        "state_names": ["Failed"],
        "tags": [tag],
        "block_document_id": block,
        "message_template": None,
    }
    assert api.get(ROOT + created["id"]).body == created


def test_a_creation_that_is_repeated_with_its_id_is_one(api: Api, block: str, tag: str):
    body = asked(block, tag, id=str(uuid4()))
    first, second = api.post(ROOT, body), api.post(ROOT, body)
    assert (first.status, second.status) == (201, 201)
    assert first.body["id"] == second.body["id"] == body["id"]
    other = api.post(ROOT, {**body, "block_document_id": save_block(api)})
    assert (other.status, other.body["code"]) == (409, "notification_policy_exists")


def test_policies_are_listed_in_the_order_of_their_making_and_by_whether_they_are_active(
    api: Api, block: str, tag: str
):
    first, second = new(api, block, tag), new(api, block, tag, is_active=False)
    mine = [one for one in listed(api) if tag in one["tags"]]
    assert [one["id"] for one in mine] == [first["id"], second["id"]]
    for active, policy in ((True, first), (False, second)):
        wanted = {"flow_run_notification_policy_filter": {"is_active": {"eq_": active}}}
        assert [one["id"] for one in listed(api, **wanted) if tag in one["tags"]] == [policy["id"]]
    assert len(listed(api, limit=1, offset=None)) == 1


def test_a_policy_is_changed_in_the_fields_that_are_given(api: Api, block: str, tag: str):
    created = new(api, block, tag, message_template="{flow_name}")
    path, other = ROOT + created["id"], save_block(api)
    assert api.call("PATCH", path, {"is_active": False}).status == 204
    changed = {"state_names": ["Crashed"], "tags": [tag, "x"], "block_document_id": other}
    assert api.call("PATCH", path, {**changed, "is_active": None}).status == 204
    found = api.get(path).body
    assert {key: found[key] for key in changed} == changed
    assert (found["is_active"], found["message_template"]) == (False, "{flow_name}")
    assert api.call("PATCH", path, {"message_template": None}).status == 204
    assert api.get(path).body["message_template"] is None


def test_what_is_not_there_is_not_found(api: Api):
    for method, path in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("GET", "/deliveries"), ("POST", "/test")):
        answer = api.call(method, ROOT + UNKNOWN + path, {} if method in ("PATCH", "POST") else None)
        assert (answer.status, answer.body["code"]) == (404, "notification_policy_not_found")


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_what_could_never_tell_anything_is_refused_with_the_nearest_right_one(
    api: Api, block: str, tag: str, method: str
):
    path = ROOT + new(api, block, tag)["id"] if method == "PATCH" else ROOT
    variable = api.call(method, path, asked(block, tag, message_template="{flow_run_nam}"))
    refused(variable, "flow_run_nam", "Did you mean 'flow_run_name'?")
    refused(api.call(method, path, asked(block, tag, state_names=["Crashd"])), "'Crashd'", "Did you mean 'Crashed'?")
    refused(api.call(method, path, asked(block, tag, state_names=[" "])), "empty text")
    missing = api.call(method, path, asked(UNKNOWN, tag))
    assert (missing.status, f"there is no block {UNKNOWN}" in missing.body["message"]) == (409, True)
    secret = save_block(api, "secret", value="x")
    refused(api.call(method, path, asked(secret, tag)), "is no notifier")
    refused(api.call(method, path, {**asked(block, tag), "state_name": ["Failed"]}), "Did you mean 'state_names'?")


def test_a_name_that_code_has_given_a_state_is_no_slip(api: Api, block: str, tag: str):
    run = api.run("RUNNING")
    refused(api.post(ROOT, asked(block, tag, state_names=["Crasher"])), "Did you mean 'Crashed'?")
    assert api.propose(run["id"], "FAILED", name="Crasher").body["status"] == "ACCEPT"
    assert new(api, block, tag, state_names=["Crasher", "NoDataToday"])["state_names"] == ["Crasher", "NoDataToday"]


def test_each_state_that_fits_is_put_down_once_for_each_policy(api: Api, block: str, tag: str):
    failed, any_state = new(api, block, tag), new(api, block, tag, state_names=[])
    other = new(api, block, tag, tags=[f"{tag}-other", tag], state_names=["Crashed"])
    run = api.run("PENDING", tags=[tag, "daily"])
    quiet = api.run("PENDING", tags=["daily"])
    for run_id in (run["id"], quiet["id"]):
        for kind in ("RUNNING", "FAILED"):
            assert api.propose(run_id, kind).body["status"] == "ACCEPT"
    assert told(api, failed) == [(run["id"], "Failed")]
    assert told(api, any_state) == [(run["id"], name) for name in ("Pending", "Running", "Failed")]
    assert told(api, other) == []


def test_a_run_that_is_in_the_state_already_does_not_enter_it_again(api: Api, block: str, tag: str):
    policy = new(api, block, tag)
    run = api.run("RUNNING", tags=[tag])
    for _ in range(3):
        assert api.propose(run["id"], "FAILED", force=True).body["status"] == "ACCEPT"
    assert len(told(api, policy)) == 1
    for kind in ("RUNNING", "FAILED"):
        api.propose(run["id"], kind, force=True)
    assert len(told(api, policy)) == 2


def test_a_state_that_is_refused_is_not_told(api: Api, block: str, tag: str):
    policy = new(api, block, tag, state_names=[])
    run = api.run("COMPLETED", tags=[tag])
    assert api.propose(run["id"], "RUNNING").body["status"] != "ACCEPT"
    assert told(api, policy) == [(run["id"], "Completed")]


def test_a_policy_counts_from_its_making_on_and_until_it_is_paused(api: Api, block: str, tag: str):
    def fail() -> str:
        run = api.run("RUNNING", tags=[tag])
        api.propose(run["id"], "FAILED")
        return str(run["id"])

    fail()
    policy = new(api, block, tag)
    second = fail()
    api.call("PATCH", ROOT + policy["id"], {"is_active": False})
    fail()
    api.call("PATCH", ROOT + policy["id"], {"is_active": True})
    fourth = fail()
    assert [run_id for run_id, _ in told(api, policy)] == [second, fourth]


def test_deliveries_are_the_newest_first_and_as_many_as_are_asked(api: Api, block: str, tag: str):
    policy = new(api, block, tag)
    runs = [api.run("FAILED", tags=[tag])["id"] for _ in range(3)]
    path = f"{ROOT}{policy['id']}/deliveries"
    assert [one["flow_run_id"] for one in api.get(path).body] == runs[::-1]
    assert [one["flow_run_id"] for one in api.get(path + "?limit=1").body] == runs[-1:]
    assert api.get(path + "?limit=0").status == 422
    assert {one["policy_id"] for one in api.get(path).body} == {policy["id"]}


def test_a_message_is_shown_without_being_sent(api: Api, block: str, tag: str):
    policy = new(api, block, tag, message_template="{flow_name} {reason} {last_lines}")
    answer = api.post(f"{ROOT}{policy['id']}/test", {"dry_run": True})
    assert answer.status == 200
    assert answer.body["subject"] == "example-flow/test-run: Failed"
    assert answer.body["body"].startswith("example-flow UserCodeRaised ")
    assert answer.body["delivery_id"] is None
    assert deliveries(api, policy) == []


def test_a_block_that_a_policy_uses_is_not_deleted_and_says_by_whom(api: Api, block: str, tag: str):
    policy = new(api, block, tag)
    users = api.get(f"/block_documents/{block}/used_by").body
    assert users["notification_policies"] == [{"id": policy["id"], "state_names": ["Failed"], "tags": [tag]}]
    answer = api.call("DELETE", f"/block_documents/{block}")
    assert (answer.status, answer.body["code"]) == (409, "block_in_use")
    assert policy["id"] in answer.body["message"]
    assert api.call("DELETE", ROOT + policy["id"]).status == 204
    assert api.call("DELETE", f"/block_documents/{block}").status == 204


def test_a_policy_is_deleted_with_its_messages(api: Api, block: str, tag: str):
    policy = new(api, block, tag)
    api.run("FAILED", tags=[tag])
    assert api.call("DELETE", ROOT + policy["id"]).status == 204
    assert api.get(f"{ROOT}{policy['id']}/deliveries").status == 404
    assert api.run("FAILED", tags=[tag])["state_name"] == "Failed"
