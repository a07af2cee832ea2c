from uuid import uuid4

from wire import Api

from penstock.testing import wait_until


def test_creating_a_flow_twice_finds_the_first(api: Api) -> None:
    name = f"flow-{uuid4()}"
    first = api.post("/flows/", {"name": name, "tags": ["a"]})
    second = api.post("/flows/", {"name": name, "tags": ["b"]})
    assert (first.status, second.status) == (201, 200)
    assert first.body == second.body
    assert first.body["tags"] == ["a"]


def test_a_flow_is_read_by_id_and_by_name(api: Api) -> None:
    name = f"flow {uuid4()} with spaces"
    flow = api.post("/flows/", {"name": name}).body
    assert api.get(f"/flows/{flow['id']}").body == flow
    assert api.get(f"/flows/name/{name.replace(' ', '%20')}").body == flow


def test_what_is_not_there_is_404_with_one_shape(api: Api) -> None:
    for path in (f"/flows/{uuid4()}", "/flows/name/nobody", f"/flow_runs/{uuid4()}", f"/task_runs/{uuid4()}"):
        answer = api.get(path)
        assert answer.status == 404
        assert answer.body["detail"] == answer.body["message"]
        assert answer.body["message"].endswith("not found")
        assert {"code", "hint"} <= set(answer.body)


def test_a_name_that_cannot_be_part_of_a_path_is_refused(api: Api) -> None:
    answer = api.post("/flows/", {"name": "a/b"})
    assert answer.status == 422
    assert answer.body["exception_message"] == "Invalid request received."
    assert answer.body["exception_detail"][0]["loc"] == ["body", "name"]
    assert answer.body["request_body"] == {"name": "a/b"}


def test_an_unknown_field_is_refused_with_the_nearest_right_one(api: Api) -> None:
    answer = api.post("/flows/", {"name": "x", "tagz": []})
    assert answer.status == 422
    assert "'tagz'" in answer.body["message"]
    assert "'tags'" in answer.body["message"]
    nested = api.post("/flow_runs/filter", {"flow_runs": {"state": {"tipe": {}}}})
    assert nested.status == 422
    assert "'flow_runs.state.tipe'" in nested.body["message"]
    assert "'type'" in nested.body["message"]


def test_tags_of_a_flow_can_be_changed_and_filtered(api: Api) -> None:
    flow, tag = api.flow(), f"tag-{uuid4()}"
    assert api.call("PATCH", f"/flows/{flow}", {"tags": [tag, "other"]}).status == 204
    found = api.post("/flows/filter", {"flows": {"tags": {"all_": [tag]}}}).body
    assert [item["id"] for item in found] == [flow]
    assert api.post("/flows/count", {"flows": {"tags": {"all_": [tag, "missing"]}}}).body == 0
    assert api.post("/flows/count", {"flows": {"id": {"any_": [flow]}, "tags": {"is_null_": True}}}).body == 0


def test_flows_are_filtered_by_their_runs(api: Api) -> None:
    flow = api.flow()
    api.run("RUNNING", flow_id=flow)
    for kind, expected in (("RUNNING", 1), ("FAILED", 0)):
        query = {"flows": {"id": {"any_": [flow]}}, "flow_runs": {"state": {"type": {"any_": [kind]}}}}
        assert api.post("/flows/count", query).body == expected


def test_a_part_of_a_name_finds_flows_whatever_the_case(api: Api) -> None:
    word = uuid4().hex
    flow = api.post("/flows/", {"name": f"The {word.upper()} flow 100_"}).body["id"]
    assert [f["id"] for f in api.post("/flows/filter", {"flows": {"name": {"like_": word}}}).body] == [flow]
    assert api.post("/flows/count", {"flows": {"name": {"like_": f"{word} flow 1000"}}}).body == 0


def test_deleting_a_flow_deletes_its_runs_and_keeps_the_counters_true(api: Api) -> None:
    flow = api.flow()
    run = api.run("RUNNING", flow_id=flow)["id"]
    assert api.call("DELETE", f"/flows/{flow}").status == 204
    assert api.call("DELETE", f"/flows/{flow}").status == 404
    assert api.get(f"/flow_runs/{run}").status == 404
    rows = {"flow_runs": {"state": {"type": {"any_": ["RUNNING"]}}, "id": {"not_any_": []}}}
    # the server itself may end a run of another test between two questions
    wait_until(lambda: api.get("/counters").body["flow_runs.state.RUNNING"] == api.post("/flow_runs/count", rows).body)


def test_a_cursor_leads_through_a_list_without_gaps_or_repetitions(api: Api) -> None:
    tag = f"tag-{uuid4()}"
    ids = {api.post("/flows/", {"name": f"flow-{uuid4()}", "tags": [tag]}).body["id"] for _ in range(7)}
    for sort in ("NAME_ASC", "NAME_DESC", "CREATED_DESC"):
        seen: list[str] = []
        query = {"flows": {"tags": {"all_": [tag]}}, "limit": 3, "sort": sort}
        cursor: str | None = None
        for _ in range(4):
            answer = api.post("/flows/filter", query | ({"cursor": cursor} if cursor else {}))
            seen += [flow["id"] for flow in answer.body]
            cursor = answer.headers["X-Next-Cursor"]
            if cursor is None:
                break
        assert sorted(seen) == sorted(ids)
        assert seen == [flow["id"] for flow in api.post("/flows/filter", query | {"limit": 200}).body]


def test_a_cursor_of_another_order_is_refused(api: Api) -> None:
    for _ in range(2):
        api.flow()
    cursor = api.post("/flows/filter", {"limit": 1, "sort": "NAME_ASC"}).headers["X-Next-Cursor"]
    assert api.post("/flows/filter", {"limit": 1, "sort": "NAME_DESC", "cursor": cursor}).status == 422
    assert api.post("/flows/filter", {"cursor": "nonsense"}).status == 422
