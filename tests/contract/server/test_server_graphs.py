"""Graphs of flow runs on the wire, on both databases."""

from typing import Any
from uuid import uuid4

from wire import Api


def task_run(api: Api, run_id: str, key: str, *upstream: str, start: bool = True) -> str:
    """The id of a task run that has the results of others as input."""
    inputs = {
        "x": [{"input_type": "task_run", "id": one} for one in upstream],
        "y": [{"input_type": "constant", "type": "int"}, *({"input_type": "task_run", "id": one} for one in upstream)],
    }
    body = {"flow_run_id": run_id, "task_key": key, "dynamic_key": "0", "name": key, "task_inputs": inputs}
    answer = api.post("/task_runs/", body)
    assert answer.status == 201, answer
    if start:
        assert api.propose(answer.body["id"], "RUNNING", "task_runs").body["status"] == "ACCEPT"
    return str(answer.body["id"])


def running(api: Api) -> str:
    """The id of a run that runs."""
    run_id = str(api.run()["id"])
    assert api.propose(run_id, "RUNNING").body["status"] == "ACCEPT"
    return run_id


def graph(api: Api, run_id: str, query: str = "") -> tuple[dict[str, Any], dict[str, Any]]:
    """The graph, and its nodes by their labels."""
    answer = api.get(f"/flow_runs/{run_id}/graph-v2{query}")
    assert answer.status == 200, answer
    assert all(key == node["id"] for key, node in answer.body["nodes"])
    return answer.body, {node["label"]: node for _, node in answer.body["nodes"]}


def ids(items: list[dict[str, Any]]) -> list[str]:
    return [item["id"] for item in items]


def test_the_list_has_every_task_run_with_what_it_depends_on(api: Api):
    run_id = running(api)
    first = task_run(api, run_id, "first")
    second = task_run(api, run_id, "second", first, start=False)
    answer = api.get(f"/flow_runs/{run_id}/graph")
    assert answer.status == 200
    nodes = {one["name"]: one for one in answer.body}
    assert nodes["first"]["upstream_dependencies"] == []
    assert nodes["second"]["upstream_dependencies"] == [{"input_type": "task_run", "id": first}]
    assert (nodes["second"]["id"], nodes["second"]["state"]) == (second, None)
    assert nodes["first"]["state"]["type"] == "RUNNING"
    assert nodes["first"]["start_time"] is not None
    assert nodes["first"]["untrackable_result"] is False


def test_the_graph_has_nodes_edges_and_states(api: Api):
    run_id = running(api)
    first = task_run(api, run_id, "first")
    second = task_run(api, run_id, "second", first)
    third = task_run(api, run_id, "third", first, second)
    task_run(api, run_id, "pending", first, start=False)
    found, nodes = graph(api, run_id)
    assert found["root_node_ids"] == [first]
    assert list(nodes) == ["first", "second", "third"]
    assert {node["kind"] for node in nodes.values()} == {"task-run"}
    assert ids(nodes["third"]["parents"]) == [first, second]
    assert ids(nodes["first"]["children"]) == [second, third]
    assert [state["type"] for state in found["states"]] == ["PENDING", "RUNNING"]
    assert (found["start_time"] is None, found["end_time"]) == (False, None)


def test_a_subflow_stands_in_the_place_of_its_task_run(api: Api):
    run_id = running(api)
    first = task_run(api, run_id, "first")
    place = task_run(api, run_id, "place", first)
    task_run(api, run_id, "last", place)
    subflow = api.run(parent_task_run_id=place, name="inner")
    api.propose(subflow["id"], "RUNNING")
    api.propose(subflow["id"], "COMPLETED")
    _, nodes = graph(api, run_id)
    label = next(name for name in nodes if name.endswith(" / inner"))
    node = nodes[label]
    assert (node["kind"], node["id"], node["state_type"]) == ("flow-run", subflow["id"], "COMPLETED")
    assert node["end_time"] is not None
    assert ids(node["parents"]) == [first]
    assert ids(nodes["last"]["parents"]) == [subflow["id"]]


def test_since_leaves_out_what_was_over_before(api: Api):
    run_id = running(api)
    first = task_run(api, run_id, "first")
    api.propose(first, "COMPLETED", "task_runs")
    second = task_run(api, run_id, "second", first)
    assert list(graph(api, run_id, "?since=2000-01-01T00:00:00Z")[1]) == ["first", "second"]
    _, nodes = graph(api, run_id, "?since=2100-01-01T00:00:00Z")
    assert list(nodes) == ["second"]
    assert (nodes["second"]["id"], ids(nodes["second"]["parents"])) == (second, [first])


def test_artifacts_are_where_they_were_made(api: Api):
    run_id, key = running(api), f"k-{uuid4()}"
    made_in = task_run(api, run_id, "first")
    old, new, alone = (
        api.post("/artifacts/", {"type": "markdown", "flow_run_id": run_id, **fields}).body["id"]
        for fields in ({"key": key, "task_run_id": made_in}, {"key": key, "task_run_id": made_in}, {})
    )
    found, nodes = graph(api, run_id)
    assert ids(found["artifacts"]) == [alone]
    assert [(one["id"], one["is_latest"]) for one in nodes["first"]["artifacts"]] == [(old, False), (new, True)]


def test_there_is_no_graph_of_no_run(api: Api):
    for name in ("graph", "graph-v2"):
        assert api.get(f"/flow_runs/{uuid4()}/{name}").status == 404
