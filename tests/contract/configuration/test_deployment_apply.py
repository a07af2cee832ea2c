"""POST /deployments/apply on both databases: what is said meets what people have changed elsewhere."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import given as for_all
from hypothesis import strategies as st
from wire import Api

NINE, TEN, NOON = ({"cron": f"0 {hour} * * *", "timezone": "UTC", "day_or": True} for hour in (9, 10, 12))
SCHEMA = {
    "title": "Parameters",
    "type": "object",
    "properties": {"x": {"type": "integer", "default": 1}, "y": {"type": "integer", "default": 1}},
}


class Deployed:
    """The deployment "d" of a flow of its own."""

    def __init__(self, api: Api) -> None:
        self.api, self.flow_id = api, api.flow()

    def ask(self, **said: Any) -> Any:
        return self.api.post("/deployments/apply", {"name": "d", "flow_id": self.flow_id, **said})

    def apply(self, **said: Any) -> dict[str, Any]:
        answer = self.ask(**said)
        assert answer.status in (200, 201), answer
        applied: dict[str, Any] = answer.body
        return applied

    def listed(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.api.post(
            "/deployments/filter", {"flows": {"id": {"any_": [self.flow_id]}}}
        ).body
        return found

    @property
    def live(self) -> dict[str, Any]:
        (found,) = self.listed()
        return found

    @property
    def path(self) -> str:
        return f"/deployments/{self.live['id']}"

    def change_elsewhere(self, **fields: Any) -> None:
        answer = self.api.call("PATCH", self.path, fields)
        assert answer.status == 204, answer

    def change_schedule(self, **fields: Any) -> None:
        (schedule,) = self.live["schedules"]
        assert self.api.call("PATCH", f"{self.path}/schedules/{schedule['id']}", fields).status == 204

    def runs(self) -> list[dict[str, Any]]:
        """The runs that are planned, made now."""
        assert self.api.post(f"{self.path}/schedule").status == 200
        asked = {"deployments": {"id": {"any_": [self.live["id"]]}}, "sort": "EXPECTED_START_TIME_ASC"}
        found: list[dict[str, Any]] = self.api.post("/flow_runs/filter", asked).body
        return found


@pytest.fixture
def deployed(api: Api) -> Deployed:
    return Deployed(api)


def changed(applied: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {item["field"]: (item["before"], item["after"]) for item in applied["changes"]}


SAYS = {
    "description": ("file", "people", "new"),
    "parameters": ({"x": 1}, {"x": 2}, {"x": 3}),
    "tags": (["file"], ["people"], ["new"]),
    "schedule": (NINE, NOON, TEN),
}
#: What null makes of each.
NOTHING: dict[str, Any] = {"description": None, "parameters": {}, "tags": [], "schedule": None}


@pytest.mark.parametrize("field", SAYS)
def test_never_applied_what_is_said_wins_and_what_is_not_said_stays(api: Api, field: str):
    file, people, _ = SAYS[field]
    for said, expected in (({}, people), ({field: None}, NOTHING[field]), ({field: file}, file)):
        deployed = Deployed(api)
        assert api.post("/deployments/", {"name": "d", "flow_id": deployed.flow_id, field: people}).status == 201
        applied = deployed.apply(**said)
        assert not applied["is_new"]
        assert deployed.live[field] == applied["deployment"][field] == expected
        assert not any(change["changed_elsewhere"] for change in applied["changes"])


@pytest.mark.parametrize("field", SAYS)
def test_what_nobody_has_changed_since_follows_what_is_said(api: Api, field: str):
    file, _, new = SAYS[field]
    for said, expected in (({}, file), ({field: None}, NOTHING[field]), ({field: file}, file), ({field: new}, new)):
        deployed = Deployed(api)
        deployed.apply(**{field: file})
        applied = deployed.apply(**said)
        assert deployed.live[field] == applied["deployment"][field] == expected
        assert bool(applied["changes"]) == (expected != file)
        assert not any(change["changed_elsewhere"] for change in applied["changes"])


@pytest.mark.parametrize("field", SAYS)
def test_what_people_have_changed_since_stays_until_something_else_is_said(api: Api, field: str):
    file, people, new = SAYS[field]
    after_new = [*people, *new] if field == "tags" else new
    for said, expected in (
        ({}, people),
        ({field: None}, NOTHING[field]),
        ({field: file}, people),
        ({field: new}, after_new),
    ):
        deployed = Deployed(api)
        deployed.apply(**{field: file})
        deployed.change_elsewhere(**{field: people})
        applied = deployed.apply(**said)
        assert deployed.live[field] == applied["deployment"][field] == expected
        stays = expected != NOTHING[field] and field in said and expected != said[field]
        assert bool(applied["kept"]) == stays
        if expected != people:
            assert any(change["changed_elsewhere"] for change in applied["changes"])
        assert deployed.apply(**said)["changes"] == []


def test_force_takes_what_is_said_and_no_more(deployed: Deployed):
    deployed.apply(description="file", tags=["file"], parameters={"x": 1})
    deployed.change_elsewhere(description="people", tags=["people"], parameters={"x": 2, "y": 2}, version="7")
    applied = deployed.apply(description="file", tags=["file"], force=["tags"])
    assert changed(applied) == {"tags": (["people"], ["file"])}
    applied = deployed.apply(description="file", tags=["file"], parameters={"x": 1}, force=True)
    assert applied["deployment"]["description"] == "file"
    assert applied["deployment"]["parameters"] == {"x": 1}
    assert applied["deployment"]["version"] == "7"
    answer = deployed.ask(force=["descripton"])
    assert answer.status == 422
    assert "Did you mean 'description'?" in answer.body["message"]


def test_what_is_unchanged_is_not_touched(deployed: Deployed):
    said = {"description": "d", "tags": ["a"], "parameters": {"x": 1.5}, "schedule": NINE, "work_queue_name": "default"}
    first = deployed.apply(**said)
    assert first["is_new"]
    runs = deployed.runs()
    assert len(runs) > 1
    again = deployed.apply(**said)
    assert again == {**again, "is_new": False, "changes": [], "kept": []}
    assert again["deployment"]["updated"] == first["deployment"]["updated"]
    assert [run["id"] for run in deployed.runs()] == [run["id"] for run in runs]


def test_only_what_planned_runs_have_taken_over_plans_them_anew(deployed: Deployed):
    deployed.apply(schedule=NINE, parameters={"x": 1})
    runs = [run["id"] for run in deployed.runs()]
    deployed.apply(schedule=NINE, parameters={"x": 1}, description="told", path="/srv", entrypoint="f.py:f")
    assert [run["id"] for run in deployed.runs()] == runs
    deployed.apply(schedule=NINE, parameters={"x": 2})
    assert {run["parameters"]["x"] for run in deployed.runs()} == {2}
    deployed.apply(schedule=TEN)
    assert {run["expected_start_time"][11:16] for run in deployed.runs()} == {"10:00"}


def test_an_edited_schedule_stays_paused_and_is_still_one(deployed: Deployed):
    deployed.apply(schedules=[{"schedule": NINE, "active": True}])
    deployed.change_schedule(active=False)
    assert deployed.apply(schedules=[{"schedule": NINE, "active": True}])["changes"] == []
    applied = deployed.apply(schedules=[{"schedule": TEN, "active": True}])
    (schedule,) = applied["deployment"]["schedules"]
    assert (schedule["schedule"], schedule["active"]) == (TEN, False)
    assert deployed.runs() == []


def test_a_schedule_of_people_stays_beside_those_of_the_file(deployed: Deployed):
    deployed.apply(schedules=[{"schedule": NINE}])
    assert deployed.api.post(f"{deployed.path}/schedules", [{"schedule": NOON}]).status == 201
    deployed.apply(schedules=[{"schedule": TEN}])
    assert [item["schedule"] for item in deployed.live["schedules"]] == [TEN, NOON]
    deployed.apply(schedules=[])
    assert [item["schedule"] for item in deployed.live["schedules"]] == [NOON]


def test_schedules_that_change_places_are_judged_as_a_whole(deployed: Deployed):
    def said(*times: Any) -> list[Any]:
        return [{"schedule": one, "name": name} for one, name in zip(times, ("a", "b"), strict=True)]

    deployed.apply(schedules=said(NINE, TEN))
    deployed.apply(schedules=said(TEN, NINE))
    assert {item["name"]: item["schedule"] for item in deployed.live["schedules"]} == {"a": TEN, "b": NINE}


def test_a_paused_deployment_is_resumed_by_true_and_not_by_null(deployed: Deployed):
    deployed.apply(schedule=NINE, is_schedule_active=None)
    assert deployed.api.post(f"{deployed.path}/pause_deployment").status == 200
    assert deployed.apply(schedule=NINE, is_schedule_active=None)["changes"] == []
    assert deployed.live["paused"]
    assert changed(deployed.apply(is_schedule_active=True)) == {"is_schedule_active": (False, True)}
    assert not deployed.live["paused"]
    deployed.apply(paused=True)
    assert deployed.live["is_schedule_active"] is False


def test_a_dry_run_says_everything_and_does_nothing(api: Api):
    flow, queue = f"flow-{uuid4()}", f"q-{uuid4()}"
    said = {"name": "d", "flow_name": flow, "work_queue_name": queue, "schedule": NINE, "tags": ["a"]}
    dry = api.post("/deployments/apply", {**said, "dry_run": True})
    assert (dry.status, dry.body["is_new"], dry.body["dry_run"]) == (200, True, True)
    assert api.get(f"/deployments/name/{flow}/d").status == 404
    assert api.get(f"/flows/name/{flow}").status == 404
    assert api.get(f"/work_queues/name/{queue}").status == 404
    done = api.post("/deployments/apply", said)
    assert done.status == 201
    assert done.body["changes"] == dry.body["changes"]
    assert api.get(f"/work_queues/name/{queue}").status == 200


def test_what_cannot_be_is_refused_and_nothing_is_changed(deployed: Deployed):
    deployed.apply(parameter_openapi_schema=SCHEMA, parameters={"x": 1}, enforce_parameter_schema=True)
    for dry_run in (True, False):
        for said, status, words in (
            ({"parameters": {"x": "one"}}, 409, "'one' is no integer"),
            ({"work_pool_name": "defalt-agent-pool"}, 404, "Did you mean 'default-agent-pool'?"),
            ({"storage_document_id": str(uuid4())}, 409, "no block document"),
            ({"schedule": {"cron": "0 25 * * *"}}, 422, "cron"),
            ({"tag": ["a"]}, 422, "Did you mean 'tags'?"),
            ({"flow_name": "both"}, 422, "either flow_id or flow_name"),
            (
                {"infrastructure_document_id": str(uuid4()), "infrastructure": content(deployed.api, "process")},
                422,
                "exclude",
            ),
        ):
            answer = deployed.ask(description="new", dry_run=dry_run, **said)
            assert (answer.status, words in answer.body["message"]) == (status, True), answer
    assert deployed.live["description"] is None
    unknown = deployed.api.post("/deployments/apply", {"name": "d", "flow_id": str(uuid4())})
    assert unknown.status == 404


def test_a_plain_create_replaces_and_counts_as_a_change_elsewhere(deployed: Deployed):
    deployed.apply(tags=["file"], parameters={"x": 1})
    again = {"name": "d", "flow_id": deployed.flow_id, "tags": ["other"], "parameters": {}}
    assert deployed.api.post("/deployments/", again).status == 200
    assert deployed.live["tags"] == ["other"]
    applied = deployed.apply(tags=["file"], parameters={"x": 1})
    assert applied["changes"] == []
    assert {item["field"] for item in applied["kept"]} == {"tags", "parameters.x"}


def test_a_deleted_deployment_is_forgotten(deployed: Deployed):
    deployed.apply(description="file")
    deployed.change_elsewhere(description="people")
    assert deployed.api.call("DELETE", deployed.path).status == 204
    applied = deployed.apply(description="file")
    assert applied["is_new"]
    assert deployed.live["description"] == "file"


def test_applied_by_many_at_once_it_is_one_deployment_with_one_schedule(deployed: Deployed):
    def apply_once(_: int) -> bool:
        with Api(deployed.api.url) as own:
            body = {"name": "d", "flow_id": deployed.flow_id, "schedule": NINE, "tags": ["a"]}
            answer = own.post("/deployments/apply", body)
            assert answer.status in (200, 201), answer
            return bool(answer.body["is_new"])

    with ThreadPoolExecutor(8) as threads:
        new = list(threads.map(apply_once, range(8)))
    assert new.count(True) == 1
    assert [item["schedule"] for item in deployed.live["schedules"]] == [NINE]


# Blocks.


def kind(api: Api, slug: str) -> dict[str, str]:
    """The ids of a block type and its newest schema."""
    found = api.get(f"/block_types/slug/{slug}").body["id"]
    schemas = api.post("/block_schemas/filter", {"block_schemas": {"block_type_id": {"any_": [found]}}}).body
    return {"block_type_id": found, "block_schema_id": schemas[0]["id"]}


def content(api: Api, slug: str, **data: Any) -> dict[str, Any]:
    return {**kind(api, slug), "data": data}


def document(deployed: Deployed) -> dict[str, Any]:
    found: dict[str, Any] = deployed.api.get(
        f"/block_documents/{deployed.live['infrastructure_document_id']}", include_secrets="true"
    ).body
    return found


def test_a_block_of_its_own_is_compared_by_content(deployed: Deployed):
    api = deployed.api
    said = content(api, "process", env={"A": "1", "DB_PASSWORD": "hunter2"})
    first = deployed.apply(infrastructure=said)
    assert document(deployed)["is_anonymous"]
    again = deployed.apply(infrastructure=said)
    assert again["changes"] == again["kept"] == []
    assert again["deployment"]["updated"] == first["deployment"]["updated"]
    said["data"]["env"] = {"A": "2", "DB_PASSWORD": "hunter3"}
    dry = deployed.apply(infrastructure=said, dry_run=True)
    edited = deployed.apply(infrastructure=said)
    assert dry["changes"] == edited["changes"]
    assert changed(edited)["infrastructure.env.A"] == ("1", "2")
    assert "infrastructure.env.DB_PASSWORD" in changed(edited)
    assert "hunter" not in str([first, again, dry, edited])
    assert edited["deployment"]["infrastructure_document_id"] == first["deployment"]["infrastructure_document_id"]


def test_what_people_made_of_a_block_stays_until_something_else_is_said(deployed: Deployed):
    api = deployed.api
    said = content(api, "process", env={"A": "1"})
    deployed.apply(infrastructure=said)
    path = f"/block_documents/{deployed.live['infrastructure_document_id']}"
    assert api.call("PATCH", path, {"data": {"env": {"A": "people"}}}).status == 204
    applied = deployed.apply(infrastructure=said)
    assert applied["changes"] == []
    assert applied["kept"][0]["live"]["env"] == {"A": "people"}
    said["data"]["env"] = {"A": "2"}
    applied = deployed.apply(infrastructure=said)
    (change,) = applied["changes"]
    assert (change["before"], change["after"], change["last_applied"]) == ("people", "2", "1")
    assert change["changed_elsewhere"]


def test_saved_blocks_go_by_their_names(deployed: Deployed):
    api = deployed.api
    names = [f"b-{uuid4().hex[:8]}" for _ in range(3)]
    ids = [api.post("/block_documents/", {"name": name, **content(api, "process")}).body["id"] for name in names]
    deployed.apply(infrastructure_document_id=ids[0])
    assert deployed.apply(infrastructure_document_id=ids[0])["changes"] == []
    deployed.change_elsewhere(infrastructure_document_id=ids[1])
    kept = deployed.apply(infrastructure_document_id=ids[0])["kept"]
    assert kept == [{"field": "infrastructure", "live": f"process/{names[1]}", "given": f"process/{names[0]}"}]
    (change,) = deployed.apply(infrastructure_document_id=ids[2])["changes"]
    assert (change["before"], change["after"]) == (f"process/{names[1]}", f"process/{names[2]}")
    deployed.apply(infrastructure=content(api, "process", env={"A": "1"}))
    assert deployed.live["infrastructure_document_id"] not in ids
    deployed.apply(infrastructure_document_id=None)
    assert deployed.live["infrastructure_document_id"] is None


def test_a_block_that_others_use_is_not_changed_in_place(api: Api):
    one, other = Deployed(api), Deployed(api)
    one.apply(infrastructure=content(api, "process", env={"A": "1"}))
    shared = one.live["infrastructure_document_id"]
    other.apply(infrastructure_document_id=shared)
    one.apply(infrastructure=content(api, "process", env={"A": "2"}))
    assert one.live["infrastructure_document_id"] != shared
    assert document(other)["data"]["env"] == {"A": "1"}


def test_the_path_belongs_to_the_storage_that_people_chose(deployed: Deployed):
    api = deployed.api
    storage = content(api, "local-file-system", basepath="/file")
    deployed.apply(storage=storage, path="code")
    mine = {"name": f"b-{uuid4().hex[:8]}", **content(api, "local-file-system", basepath="/people")}
    theirs = api.post("/block_documents/", mine).body["id"]
    deployed.change_elsewhere(storage_document_id=theirs, path="elsewhere")
    deployed.apply(storage=storage, path="code")
    assert (deployed.live["storage_document_id"], deployed.live["path"]) == (theirs, "elsewhere")


# What is predicted is what happens, whatever was there before.

WORDS = st.sampled_from(["a", "b"])
VALUES = st.one_of(st.none(), st.integers(0, 2), WORDS)
SAID = st.fixed_dictionaries(
    {},
    optional={
        "description": st.one_of(st.none(), WORDS),
        "version": WORDS,
        "parameters": st.one_of(st.none(), st.dictionaries(WORDS, VALUES)),
        "infra_overrides": st.one_of(st.none(), st.dictionaries(WORDS, st.dictionaries(WORDS, VALUES))),
        "tags": st.one_of(st.none(), st.lists(WORDS, unique=True)),
        "schedule": st.one_of(st.none(), st.sampled_from([NINE, TEN])),
        "is_schedule_active": st.booleans(),
        "concurrency_limit": st.one_of(st.none(), st.integers(0, 2)),
    },
)
ELSEWHERE = st.fixed_dictionaries(
    {},
    optional={
        "description": WORDS,
        "parameters": st.dictionaries(WORDS, VALUES),
        "tags": st.lists(WORDS, unique=True),
        "schedule": st.sampled_from([TEN, NOON]),
    },
)


@for_all(SAID, ELSEWHERE, SAID, st.booleans())
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
def test_what_is_predicted_is_what_happens(api: Api, first: Any, elsewhere: Any, said: Any, force: bool):
    deployed = Deployed(api)
    deployed.apply(**first)
    deployed.change_elsewhere(**elsewhere)
    before = deployed.live
    dry = deployed.apply(**said, force=force, dry_run=True)
    assert deployed.live == before
    done = deployed.apply(**said, force=force)
    after = deployed.live
    assert (dry["changes"], dry["kept"]) == (done["changes"], done["kept"])
    assert _seen(dry["deployment"]) == _seen(done["deployment"]) == _seen(after)
    differing = {name for name in _seen(after) if _seen(after)[name] != _seen(before)[name]}
    assert {item["field"].split(".")[0].split("[")[0] for item in done["changes"]} == differing
    again = deployed.apply(**said, force=force)
    assert again["changes"] == []
    assert again["deployment"] == done["deployment"]


def _seen(deployment: dict[str, Any]) -> dict[str, Any]:
    """What of a deployment somebody can say, by the names of changes."""
    names = (
        "description",
        "version",
        "parameters",
        "infra_overrides",
        "tags",
        "is_schedule_active",
        "concurrency_limit",
    )
    seen = {name: deployment[name] for name in names}
    seen["tags"] = sorted(seen["tags"])
    seen["schedules"] = [item["schedule"] for item in deployment["schedules"]]
    return seen
