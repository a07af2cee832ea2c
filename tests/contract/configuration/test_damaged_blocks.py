"""Documents that somebody has edited in the database: each answer names document and field, and nothing else breaks."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from block_server import Served, Vaults, served
from postgresql import Cluster


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    if request.param == "sqlite":
        folder: Path = tmp_path_factory.mktemp("damaged")
        url = f"sqlite:///{folder / 'test.db'}"
    else:
        running: Cluster = request.getfixturevalue("postgresql")
        url = running.create_database()
    with served(url) as found:
        yield found


@pytest.fixture
def vaults(place: Served) -> Vaults:
    return Vaults(place.api)


def _damage(place: Served, document: UUID, column: str, value: Any) -> None:
    text = value if isinstance(value, str) else json.dumps(value)
    assert place.edit(f"UPDATE block_document SET {column} = :value WHERE id = :id", value=text, id=document) == 1


def _sealed(place: Served, document: UUID, **changes: Any) -> None:
    found = place.select("SELECT sealed FROM block_document WHERE id = :id", id=document)
    sealed = json.loads(found) if isinstance(found, str) else found
    _damage(place, document, "sealed", {**sealed, **changes})


def _expect(vaults: Vaults, document: UUID, field: str, *, code: str = "damaged_block") -> None:
    """The damaged document is told in lists and refused in clear, by name and field; its neighbour is untouched."""
    by_name = {item["name"]: item for item in vaults.listed()}
    assert by_name["well"]["problems"] == []
    assert by_name["well"]["data"]["user"] == "u"
    in_clear = {item["name"]: item for item in vaults.listed(secrets=True)}
    assert in_clear["well"]["data"]["password"] == "pw"
    assert any(field in problem for problem in in_clear["hurt"]["problems"]), in_clear["hurt"]
    assert vaults.read(document).status == 200
    answer = vaults.read(document, secrets=True)
    assert (answer.status, answer.body["code"]) == (409, code), answer
    assert f"block {vaults.slug}/hurt: " in answer.body["message"]
    assert field in answer.body["message"]
    path = f"/block_types/slug/{vaults.slug}/block_documents"
    assert vaults.api.get(f"{path}?include_secrets=true").status == 200
    assert vaults.api.get(f"{path}/name/hurt?include_secrets=true").status == 409


@pytest.fixture
def hurt(vaults: Vaults) -> UUID:
    vaults.saved("well", {"user": "u", "password": "pw"})
    return vaults.saved("hurt", {"user": "u", "password": "pw"})


@pytest.mark.parametrize("value", [[], 5, "null", '"text"', {"user": {"$ref": {"block_document_id": "nonsense"}}}])
def test_data_of_a_wrong_kind(place: Served, vaults: Vaults, hurt: UUID, value: Any):
    _damage(place, hurt, "data", value)
    _expect(vaults, hurt, "data")
    # saved anew as a whole it is well again
    whole = dict.fromkeys(vaults.read(hurt).body["block_schema"]["fields"]["properties"]) | {"password": "new"}
    assert vaults.change(hurt, whole).status == 204
    assert vaults.read(hurt, secrets=True).body["data"]["password"] == "new"


def test_data_that_is_no_json(place: Served, vaults: Vaults, hurt: UUID):
    if place.url.startswith("postgresql"):
        pytest.skip("PostgreSQL itself refuses it")
    _damage(place, hurt, "data", '{"user": ')
    _expect(vaults, hurt, "data: it is no JSON")


@pytest.mark.parametrize(
    "value", [[], 5, {"key": 1}, {"key": "k", "token": "t"}, {"key": "k", "token": "t", "places": 3}]
)
def test_a_seal_of_a_wrong_kind(place: Served, vaults: Vaults, hurt: UUID, value: Any):
    _damage(place, hurt, "sealed", value)
    _expect(vaults, hurt, "sealed")


def test_a_damaged_token(place: Served, vaults: Vaults, hurt: UUID):
    _sealed(place, hurt, token="gAAAAnonsense")
    _expect(vaults, hurt, "data.password", code="damaged_secret")
    refused = vaults.change(hurt, {"user": "v"})
    assert (refused.status, refused.body["code"]) == (409, "damaged_secret")
    assert vaults.change(hurt, {"password": "new"}).status == 204
    assert vaults.read(hurt, secrets=True).body["data"] == {"user": "u", "password": "new"}


def test_a_key_that_is_not_in_the_ring(place: Served, vaults: Vaults, hurt: UUID):
    _sealed(place, hurt, key="0123456789ab")
    _expect(vaults, hurt, "data.password", code="unknown_key")
    assert "0123456789ab" in vaults.read(hurt, secrets=True).body["message"]


def test_a_place_that_is_gone(place: Served, vaults: Vaults):
    vaults.saved("well", {"user": "u", "password": "pw"})
    hurt = vaults.saved("hurt", {"extra": {"a": "secret"}})
    _damage(place, hurt, "data", {"extra": 5})
    _expect(vaults, hurt, "data.extra.a")


def test_a_reference_that_leads_nowhere_or_back(place: Served, vaults: Vaults, hurt: UUID):
    for target, told in ((uuid4(), "there is no block document"), (hurt, "leads back")):
        data = {"user": "u", "inner": {"$ref": {"block_document_id": str(target)}}}
        _damage(place, hurt, "data", data)
        _damage(place, hurt, "sealed", "null")
        _expect(vaults, hurt, "data.inner")
        assert told in vaults.read(hurt, secrets=True).body["message"]
        assert vaults.read(hurt).body["data"]["inner"] is None


def test_whoever_refers_to_a_damaged_document_is_told_which_one_it_is(place: Served, vaults: Vaults, hurt: UUID):
    outer = vaults.saved("outer", {"inner": {"$ref": {"block_document_id": str(hurt)}}})
    _sealed(place, hurt, token="gAAAAnonsense")
    answer = vaults.read(outer, secrets=True)
    assert answer.status == 409
    assert f"block {vaults.slug}/hurt: data.password" in answer.body["message"]


def test_a_missing_schema_row(place: Served, vaults: Vaults, hurt: UUID):
    gone = uuid4()
    place.edit("UPDATE block_document SET block_schema_id = :gone WHERE id = :id", gone=gone, id=hurt)
    listed = {item["name"]: item for item in vaults.listed()}
    assert f"there is no block schema {gone}" in listed["hurt"]["problems"][0]
    assert listed["hurt"]["block_schema"] is None
    assert listed["well"]["problems"] == []
    refused = vaults.change(hurt, {"user": "v"})
    assert refused.status == 404
    assert str(gone) in refused.body["message"]
    assert vaults.change(hurt, {"user": "v"}, block_schema_id=vaults.schema_id).status == 204
    assert vaults.read(hurt, secrets=True).body["data"] == {"user": "v", "password": "pw"}


def test_a_schema_of_a_wrong_kind(place: Served, vaults: Vaults, hurt: UUID):
    place.edit("UPDATE block_schema SET fields = '[]', capabilities = '5' WHERE id = :id", id=UUID(vaults.schema_id))
    assert {item["name"] for item in vaults.listed()} == {"well", "hurt"}
    assert vaults.api.get("/block_capabilities/").status == 200
    assert vaults.api.post("/block_schemas/filter", {}).status == 200
    assert vaults.api.post("/block_types/filter", {}).status == 200
    answer = vaults.change(hurt, {"user": "v"})
    assert (answer.status, answer.body["code"]) == (409, "damaged_block")
    assert vaults.schema_id in answer.body["message"]


def test_a_run_whose_infrastructure_is_damaged_is_told_so_and_others_go_on(place: Served, vaults: Vaults, hurt: UUID):
    _sealed(place, hurt, token="gAAAAnonsense")
    api, flow = place.api, place.api.flow()
    well = vaults.listed()[1]["id"]
    runs = {}
    for name, document in (("hurt", str(hurt)), ("well", well)):
        body = {
            "name": f"{name}-{uuid4()}",
            "flow_id": flow,
            "infrastructure_document_id": document,
            "work_queue_name": f"queue-{vaults.slug}",
        }
        deployment = api.post("/deployments/", body).body["id"]
        runs[name] = api.post(f"/deployments/{deployment}/create_flow_run", {}).body["id"]
    poll = {
        "agent_id": str(uuid4()),
        "name": "a",
        "work_queues": [f"queue-{vaults.slug}"],
        "capacity": 5,
        "reaches": [],
    }
    answer = api.post("/agents/poll", {**poll, "request_id": str(uuid4())})
    assert answer.status == 200, answer
    assert [claim["flow_run"]["id"] for claim in answer.body["claims"]] == [runs["well"]]
    state = api.get(f"/flow_runs/{runs['hurt']}").body["state"]
    assert state["type"] == "CRASHED", state
    assert f"block {vaults.slug}/hurt: data.password" in state["message"]
