"""Saves, registrations and deletions at the same moment."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from block_server import FIELDS, Vaults
from wire import Answer, Api

AT_ONCE = 12


@pytest.fixture
def vaults(api: Api) -> Vaults:
    return Vaults(api)


def _at_once(api: Api, act: Callable[[Api, int], Answer]) -> list[Answer]:
    """The answers of `AT_ONCE` clients that act at the same moment, each with a connection of its own."""
    gate, answers = threading.Barrier(AT_ONCE), []

    def one(number: int) -> None:
        with Api(api.url) as own:
            own.get("/ready")
            gate.wait(30)
            answers.append(act(own, number))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_one_of_many_saves_of_a_name_wins(api: Api, vaults: Vaults):
    def save(own: Api, number: int) -> Answer:
        body = {"name": "mine", "data": {"password": str(number)}}
        ids = {"block_type_id": vaults.type_id, "block_schema_id": vaults.schema_id}
        return own.post("/block_documents/?include_secrets=true", {**body, **ids})

    answers = _at_once(api, save)
    assert sorted(answer.status for answer in answers) == [201] + [409] * (AT_ONCE - 1)
    won = next(answer.body for answer in answers if answer.status == 201)
    assert {answer.body["code"] for answer in answers if answer.status == 409} == {"block_exists"}
    assert [item["data"] for item in vaults.listed(secrets=True)] == [won["data"]]


def test_one_of_many_new_types_with_a_slug_wins_and_one_schema_is_made(api: Api, vaults: Vaults):
    slug = f"{vaults.slug}-new"
    answers = _at_once(api, lambda own, _: own.post("/block_types/", {"name": "New", "slug": slug}))
    assert sorted(answer.status for answer in answers) == [201] + [409] * (AT_ONCE - 1)
    type_id = next(answer.body["id"] for answer in answers if answer.status == 201)
    body = {"fields": {**FIELDS, "block_type_slug": slug}, "block_type_id": type_id}
    answers = _at_once(api, lambda own, _: own.post("/block_schemas/", body))
    assert sorted(answer.status for answer in answers) == [200] * (AT_ONCE - 1) + [201]
    assert len({answer.body["id"] for answer in answers}) == 1


def test_changes_of_different_fields_at_once_all_count(api: Api, vaults: Vaults):
    document = vaults.saved("mine", {"extra": {}})
    names = [name for name in FIELDS["properties"] if name in ("user", "password", "port", "on", "tags", "env")]
    values: dict[str, Any] = {"user": "u", "password": "pw", "port": 5, "on": True, "tags": ["t"], "env": {"A": "b"}}

    def change(own: Api, number: int) -> Answer:
        name = names[number % len(names)]
        return own.call("PATCH", f"/block_documents/{document}", {"data": {name: values[name]}})

    assert {answer.status for answer in _at_once(api, change)} == {204}
    assert vaults.read(document, secrets=True).body["data"] == {"extra": {}, **values}


def test_a_reference_and_the_deletion_of_its_target_do_not_both_succeed(api: Api, vaults: Vaults):
    ids = {"block_type_id": vaults.type_id, "block_schema_id": vaults.schema_id}
    for round_ in range(6):
        inner = vaults.saved(f"inner-{round_}", {})
        reference = {"$ref": {"block_document_id": str(inner)}}

        def act(own: Api, number: int, inner: Any = inner, reference: Any = reference, round_: int = round_) -> Answer:
            if number % 2:
                return own.call("DELETE", f"/block_documents/{inner}")
            body = {"name": f"outer-{round_}-{number}", "data": {"inner": reference}, **ids}
            return own.post("/block_documents/", body)

        statuses = {answer.status for answer in _at_once(api, act)}
        assert statuses <= {201, 204, 404, 409, 422}
        assert not {201, 204} <= statuses
    assert all(item["problems"] == [] for item in vaults.listed())
