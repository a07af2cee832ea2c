"""Saved searches on the wire, on both databases."""

from uuid import uuid4

from wire import Api

FILTERS = [{"object": "flow_run", "property": "state", "type": "string", "operation": "any_", "value": ["FAILED"]}]


def test_a_search_is_saved_under_its_name_and_replaced(api: Api):
    name = f"s-{uuid4()}"
    first = api.call("PUT", "/saved_searches/", {"name": name, "filters": FILTERS})
    assert (first.status, first.body["filters"]) == (201, FILTERS)
    again = api.call("PUT", "/saved_searches/", {"name": name})
    assert (again.status, again.body["id"], again.body["filters"]) == (200, first.body["id"], [])
    assert api.get(f"/saved_searches/{first.body['id']}").body == again.body


def test_searches_are_listed_by_name_and_deleted(api: Api):
    mark = uuid4()
    ids = {name: api.call("PUT", "/saved_searches/", {"name": f"{mark}-{name}"}).body["id"] for name in "ba"}
    listed = [one["name"] for one in api.post("/saved_searches/filter").body]
    assert listed == sorted(listed)
    assert {f"{mark}-a", f"{mark}-b"} < {*listed, "other"}
    assert len(api.post("/saved_searches/filter", {"limit": 1, "offset": 1}).body) == 1
    assert api.call("DELETE", f"/saved_searches/{ids['a']}").status == 204
    assert api.call("DELETE", f"/saved_searches/{ids['a']}").status == 404
    assert api.get(f"/saved_searches/{ids['a']}").status == 404


def test_a_search_that_cannot_be_is_refused(api: Api):
    for body in ({"filters": []}, {"name": "s", "filtres": []}, {"name": "s", "filters": [{"object": "flow_run"}]}):
        assert api.call("PUT", "/saved_searches/", body).status == 422
