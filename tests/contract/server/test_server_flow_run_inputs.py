"""Inputs of flow runs on the wire, on both databases."""

from uuid import uuid4

import pytest
from wire import Api


def path(api: Api) -> str:
    """Where the inputs of a new run are."""
    return f"/flow_runs/{api.run()['id']}/input"


def text(api: Api, where: str) -> tuple[int, str]:
    """Status and body of an answer that is plain text."""
    import urllib.request

    with urllib.request.urlopen(api.url + where) as response:
        assert response.headers.get_content_type() == "text/plain"
        return response.status, response.read().decode()


def test_an_input_is_sent_read_listed_and_deleted(api: Api):
    inputs = path(api)
    answer = api.post(inputs, {"key": "k-1", "value": '{"a": "ä"}', "sender": "me"})
    assert (answer.status, answer.body) == (201, None)
    assert text(api, f"{inputs}/k-1") == (200, '{"a": "ä"}')
    (listed,) = api.post(f"{inputs}/filter", {"prefix": "k-"}).body
    assert (listed["key"], listed["value"], listed["sender"]) == ("k-1", '{"a": "ä"}', "me")
    assert listed["flow_run_id"] in inputs
    assert api.call("DELETE", f"{inputs}/k-1").status == 204
    assert api.get(f"{inputs}/k-1").status == 404
    assert api.call("DELETE", f"{inputs}/k-1").status == 404


def test_a_key_is_taken_once(api: Api):
    inputs = path(api)
    assert api.post(inputs, {"key": "k", "value": "1"}).status == 201
    again = api.post(inputs, {"key": "k", "value": "2"})
    assert (again.status, again.body["code"]) == (409, "input_exists")
    assert text(api, f"{inputs}/k") == (200, "1")
    assert api.post(path(api), {"key": "k", "value": "2"}).status == 201


def test_a_filter_gives_the_oldest_with_the_prefix_and_leaves_out_what_is_excluded(api: Api):
    inputs = path(api)
    for key in ("b-2", "b-1", "a-1", "b_3", "b%4"):
        assert api.post(inputs, {"key": key, "value": key}).status == 201

    def keys(**asked: object) -> list[str]:
        return [one["key"] for one in api.post(f"{inputs}/filter", asked).body]

    assert keys(prefix="b-") == ["b-2"]
    assert keys(prefix="b-", limit=5) == ["b-2", "b-1"]
    assert keys(prefix="b", limit=5, exclude_keys=["b-2", "b%4"]) == ["b-1", "b_3"]
    assert keys(prefix="b_", limit=5) == ["b_3"]
    assert keys(prefix="", limit=2) == ["b-2", "b-1"]


@pytest.mark.parametrize("body", [{"key": "a/b", "value": "1"}, {"key": "", "value": "1"}, {"key": "k"}])
def test_an_input_that_cannot_be_is_refused(api: Api, body: dict[str, str]):
    assert api.post(path(api), body).status == 422


def test_inputs_of_a_run_that_does_not_exist_are_refused(api: Api):
    assert api.post(f"/flow_runs/{uuid4()}/input", {"key": "k", "value": "1"}).status == 404


def test_inputs_go_with_their_run(api: Api):
    inputs = path(api)
    assert api.post(inputs, {"key": "k", "value": "1"}).status == 201
    assert api.call("DELETE", inputs.removesuffix("/input")).status == 204
    assert api.get(f"{inputs}/k").status == 404
