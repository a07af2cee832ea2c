"""A deployment is not saved with overrides that its infrastructure does not take: its runs would crash at once."""

from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest
from wire import Answer, Api

from penstock.model.base import JSONObject


@dataclass
class Flow:
    """A flow whose deployments are made and changed by clients that know nothing of infrastructure."""

    api: Api
    name: str = field(default_factory=lambda: f"of-overrides-{uuid4()}")

    def block(self, slug: str, **data: Any) -> str:
        kind = self.api.get(f"/block_types/slug/{slug}").body["id"]
        schemas = self.api.post("/block_schemas/filter", {"block_schemas": {"block_type_id": {"any_": [kind]}}}).body
        return self.document(kind, schemas[0]["id"], data)

    def document(self, kind: str, schema: str, data: JSONObject) -> str:
        whole = {"is_anonymous": True, "block_type_id": kind, "block_schema_id": schema, "data": data}
        made = self.api.post("/block_documents/", whole)
        assert made.status == 201, made.body
        return str(made.body["id"])

    def save(self, block: str | None, **fields: Any) -> Answer:
        flow = self.api.post("/flows/", {"name": self.name}).body["id"]
        whole = {"name": "d", "flow_id": flow, "infrastructure_document_id": block, **fields}
        return self.api.post("/deployments/", whole)

    def apply(self, block: str | None, **fields: Any) -> Answer:
        whole = {"name": "d", "flow_name": self.name, "infrastructure_document_id": block, **fields}
        return self.api.post("/deployments/apply", whole)

    def change(self, **fields: Any) -> Answer:
        return self.api.call("PATCH", f"/deployments/{self.live['id']}", fields)

    @property
    def live(self) -> Any:
        return self.api.get(f"/deployments/name/{self.name}/d").body

    def with_old_slip(self) -> str:
        """The deployment has an override that was judged by nobody who knew better. Returns its block."""
        kind, (older, newer) = self.own_type({"image": {}, "imag": {}}, {"image": {}})
        block = self.document(kind, newer, {"image": "x:1"})
        assert self.save(block, infra_overrides={"imag": "x:2"}).status == 201
        assert self.api.call("DELETE", f"/block_schemas/{older}").status == 204
        return block

    def own_type(self, *schemas: JSONObject, **more: Any) -> tuple[str, list[str]]:
        """A type of somebody's own with schemas of these fields; their ids."""
        slug = f"own-{uuid4()}"
        kind = str(self.api.post("/block_types/", {"name": slug, "slug": slug}).body["id"])
        whole = [{"title": slug, "properties": fields, **more} for fields in schemas]
        made = [self.api.post("/block_schemas/", {"fields": fields, "block_type_id": kind}) for fields in whole]
        return kind, [str(answer.body["id"]) for answer in made]


@pytest.fixture
def flow(api: Api) -> Flow:
    return Flow(api)


@pytest.mark.parametrize("way", ["save", "apply"])
@pytest.mark.parametrize(
    ("overrides", "code", "words"),
    [
        ({"imag": "x:1"}, "unknown_override", "no field 'imag'. Did you mean 'image'?"),
        ({"env.A": "1", "env_X": "1"}, "unknown_override", "no field 'env_X'. Did you mean 'env'?"),
        ({"mem_limti": "1g"}, "unknown_override", "Did you mean 'mem_limit'?"),
        ({"privileged": "perhaps"}, "invalid_override", "it has to be true or false, not 'perhaps'"),
        ({"image.tag": "1"}, "invalid_override", "'image' is a text, which has no parts"),
    ],
)
def test_a_slip_is_refused_with_the_nearest_name_and_nothing_is_saved(
    flow: Flow, way: str, overrides: JSONObject, code: str, words: str
) -> None:
    block = flow.block("docker-container", image="x:1")
    refused = getattr(flow, way)(block, infra_overrides=overrides)
    assert (refused.status, refused.body["code"]) == (422, code)
    assert words in refused.body["message"]
    assert refused.body["message"].startswith("infra_overrides: ")
    assert flow.live["code"] == "not_found"


def test_what_the_infrastructure_takes_is_saved(flow: Flow) -> None:
    overrides = {"env": {"A": "1"}, "env.B.C": 2, "mem_limit": "512m", "networks.0": "a", "stream_output": "false"}
    overrides |= {"cpus": "1.5", "run_timeout": "null", "image": "${env:IMAGE}", "host_config": {"OomScoreAdj": 5}}
    block = flow.block("docker-container", image="x:1")
    assert flow.save(block, infra_overrides=overrides).status == 201
    assert flow.live["infra_overrides"] == overrides
    assert flow.save(block, job_variables=overrides).status == 200
    assert flow.change(infra_overrides={**overrides, "name": "n"}).status == 204


def test_a_refused_change_leaves_all_of_the_deployment_as_it_was(flow: Flow) -> None:
    block = flow.block("docker-container", image="x:1")
    assert flow.save(block, infra_overrides={"env.A": "1"}, tags=["old"]).status == 201
    before = flow.live
    more: JSONObject = {"tags": ["new"], "schedule": {"interval": 60}, "work_queue_name": f"q-{uuid4()}"}
    for refused in (
        flow.change(infra_overrides={"imag": "x"}, **more),
        flow.change(job_variables={"imag": "x"}, **more),
        flow.save(block, infra_overrides={"imag": "x"}, **more),
        flow.apply(block, infra_overrides={"imag": "x"}, **more),
        flow.apply(block, infra_overrides={"imag": "x"}, dry_run=True, **more),
        flow.change(infrastructure_document_id=flow.block("process"), infra_overrides={"image": "x"}, **more),
    ):
        assert (refused.status, refused.body["code"]) == (422, "unknown_override")
        assert flow.live == before
    assert flow.api.get(f"/work_queues/name/{more['work_queue_name']}").status == 404


@pytest.mark.parametrize("way", ["save", "apply", "change"])
def test_other_infrastructure_has_to_take_the_overrides_that_there_are(flow: Flow, way: str) -> None:
    assert flow.save(flow.block("docker-container", image="x:1"), infra_overrides={"mem_limit": "1g"}).status == 201
    process = flow.block("process")
    change = {"change": lambda: flow.change(infrastructure_document_id=process)}
    refused = change.get(way, lambda: getattr(flow, way)(process))()
    assert (refused.status, refused.body["code"]) == (422, "unknown_override")
    assert flow.live["infrastructure_document_id"] != process


def test_overrides_of_a_deployment_without_an_infrastructure_block_cannot_be_judged(flow: Flow) -> None:
    overrides = {"cpu_request": "100m", "anything": 1}
    assert flow.save(None, infra_overrides=overrides).status == 201
    assert flow.apply(None, infra_overrides={**overrides, "more": [2]}).status == 200
    assert flow.change(job_variables=overrides).status == 204
    assert flow.live["infra_overrides"] == overrides


def test_a_type_of_others_that_gathers_unknown_fields_takes_all_names(flow: Flow) -> None:
    kind, (schema,) = flow.own_type({"size": {"type": "integer"}}, additionalProperties=True)
    block = flow.document(kind, schema, {"size": 1})
    assert flow.save(block, infra_overrides={"whatever": 1}).status == 201


def test_what_was_wrong_before_does_not_stand_in_the_way_of_other_changes(flow: Flow) -> None:
    block = flow.with_old_slip()
    assert flow.change(tags=["new"]).status == 204
    # clients that change one field may send all of them
    assert flow.change(tags=["newer"], infra_overrides={"imag": "x:2"}, infrastructure_document_id=block).status == 204
    assert flow.change(infra_overrides={"imag": "x:2", "image": "x:3"}).status == 204
    assert flow.save(block, description="d").status == 200
    assert flow.apply(block, version="2").status == 200
    for wrong in ({"imag": "x:9"}, {"imag": "x:2", "imaeg": "x"}):
        assert flow.change(infra_overrides=wrong).status == 422
    assert flow.save(block, infra_overrides={"imag": "x:2"}).status == 422
    assert flow.change(infra_overrides={}).status == 204
