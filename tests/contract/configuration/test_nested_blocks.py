"""Blocks in blocks, older and newer data, and damaged documents: through the classes, against a real server."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import Field, SecretStr
from wire import Api

from penstock.blocks import documents
from penstock.blocks.base import Block
from penstock.blocks.documents import check_all, load_by_id, upgrade
from penstock.blocks.fields import SecretDict
from penstock.client import get_sync_client
from penstock.errors import ConfigurationError, Conflict


class Pass(Block):
    _block_is_base = True


class Card(Pass):
    _block_type_slug = "test-card"

    pin: SecretStr


class Badge(Pass):
    _block_type_slug = "test-badge"

    codes: SecretDict
    spare: Card | None = None


class Gate(Block):
    _block_type_slug = "test-gate"

    opens_with: Pass | None = None
    also: list[Pass] = Field(default_factory=list)
    by_name: dict[str, Pass] = Field(default_factory=dict)


@pytest.fixture(autouse=True)
def connected(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_API_URL", api.url)


@pytest.fixture
def name() -> str:
    return f"n-{uuid4()}"


def _save_as_lax(api: Api, block: type[Block], name: str, data: dict[str, Any], version: str = "non-versioned") -> UUID:
    """A document of the class's type with whatever data, as another version of the class might have saved it."""
    type_id, _ = block.register_type_and_schema()
    fields = {"title": f"lax {uuid4()}", "type": "object", "additionalProperties": True, "properties": {}}
    asked = {"fields": fields, "block_type_id": str(type_id), "version": version}
    schema_id = api.post("/block_schemas/", asked).body["id"]
    made = api.post(
        "/block_documents/",
        {"name": name, "data": data, "block_type_id": str(type_id), "block_schema_id": schema_id},
    )
    assert made.status == 201, made.body
    return UUID(made.body["id"])


def test_saved_blocks_in_fields_of_a_base_class_come_back_as_what_they_are(name: str):
    card = Card(pin=SecretStr("1"))
    card.save(name)
    badge = Badge(codes={"a": "2"}, spare=card)
    badge.save(name)
    gate = Gate(opens_with=badge, also=[card, badge], by_name={"a.b": card})
    gate.save(name)
    loaded = Gate.load(name)
    assert loaded == gate
    assert isinstance(loaded.also[1], Badge)
    assert loaded.also[1].spare == card
    assert loaded.also[1].spare._block_document_id == card.block_id
    assert [held.block_name for held in loaded.also] == [name, name]
    assert loaded.by_name["a.b"].block_id == card.block_id
    # what was a reference stays one, however deep it lies
    loaded.save(overwrite=True)
    Card(pin=SecretStr("9")).save(name, overwrite=True)
    again = Gate.load(name)
    assert isinstance(again.also[0], Card)
    assert again.also[0].pin.get_secret_value() == "9"


def test_secrets_of_unsaved_blocks_are_sealed_where_the_field_does_not_tell_of_them(api: Api, name: str):
    gate = Gate(
        opens_with=Card(pin=SecretStr("hunter2")),
        also=[Badge(codes={"a": "hunter2"}, spare=Card(pin=SecretStr("hunter2")))],
        by_name={"x": Card(pin=SecretStr("hunter2"))},
    )
    document_id = gate.save(name)
    assert "hunter2" not in str(api.get(f"/block_documents/{document_id}").body)
    assert Gate.load(name) == gate
    shown = api.get(f"/block_documents/{document_id}").body["data"]
    assert api.call("PATCH", f"/block_documents/{document_id}", {"data": shown}).status == 204
    assert Gate.load(name) == gate


def test_an_anonymous_block_is_loaded_by_its_id(name: str):
    card = Card(pin=SecretStr("1"))
    found = load_by_id(card._save(is_anonymous=True))
    assert found == card
    assert found._is_anonymous


def test_a_block_keeps_the_ids_of_its_type_and_schema(name: str):
    card = Card(pin=SecretStr("1"))
    card.save(name)
    loaded = Card.load(name)
    assert loaded.block_id == card.block_id
    assert (loaded._block_type_id, loaded._block_schema_id) == Card.register_type_and_schema()


def _aging(version: int, fields: dict[str, Any], **migrations: Any) -> type[Block]:
    about = {"_block_type_slug": "test-moving", "_block_schema_version": version, "__module__": __name__}
    return type("Moving", (Block,), {"__annotations__": fields, **about, **migrations})


def _split(data: dict[str, Any]) -> dict[str, Any]:
    user, _, token = data.pop("login").partition(":")
    return {"user": user, "token": token}


def test_older_data_is_brought_up_to_date_and_newer_data_is_refused(api: Api, name: str):
    first = _aging(1, {"login": SecretStr})
    document_id = first(login=SecretStr("u:hunter2")).save(name)
    second = _aging(2, {"user": str, "token": SecretStr}, up=Block.migrates(1)(_split))
    holder = type(
        "Van", (Block,), {"__annotations__": {"held": second}, "_block_type_slug": "test-van", "__module__": __name__}
    )
    expected = second(user="u", token=SecretStr("hunter2"))
    assert second.load(name) == expected
    holder(held=second.load(name)).save(name)
    assert holder.load(name).held == expected

    with get_sync_client() as client:
        (old,) = check_all(client, [f"test-moving/{name}"])
        assert (old.upgradeable, old.finding.ok, old.document_id) == (True, False, document_id)
        assert "version 1, the present one is 2" in old.finding.said
        assert upgrade(client, document_id)
        assert not upgrade(client, document_id)
        assert check_all(client, [f"test-moving/{name}"])[0].finding.ok
    assert second.load(name) == expected
    assert "hunter2" not in str(api.get(f"/block_documents/{document_id}").body)

    _aging(1, {"login": SecretStr})
    with pytest.raises(ConfigurationError, match="saved by version 2 of type test-moving, this installation knows 1"):
        Block.load(f"test-moving/{name}")
    with get_sync_client() as client:
        (refused,) = check_all(client, [f"test-moving/{name}"])
    assert (refused.upgradeable, refused.block) == (False, None)
    assert "saved by version 2" in refused.finding.said


def test_data_that_makes_no_sense_is_told_with_block_and_field_but_not_with_its_values(api: Api, name: str):
    _save_as_lax(api, Badge, name, {"codes": "hunter2", "spare": {"pin": ["hunter2"]}})
    with pytest.raises(ConfigurationError) as caught:
        Badge.load(name)
    said = str(caught.value)
    assert said.startswith(f"The block test-badge/{name} cannot be loaded: codes: ")
    assert "spare.pin" in said
    assert "hunter2" not in said
    with get_sync_client() as client:
        (finding,) = check_all(client, [f"test-badge/{name}"])
    assert finding.finding.said == said


def test_without_validation_as_much_is_loaded_as_can_be_read(api: Api, name: str):
    data = {"codes": "hunter2", "spare": {"pin": "1"}, "unknown": 1}
    _save_as_lax(api, Badge, name, data)
    loaded = Badge.load(name, validate=False)
    assert loaded.spare == Card(pin=SecretStr("1"))
    assert "hunter2" not in repr(loaded)
    assert loaded.codes.get_secret_value() == "hunter2"


def test_a_field_that_the_class_does_not_have_is_told_with_the_nearest(api: Api, name: str):
    _save_as_lax(api, Card, name, {"pni": "x"})
    with pytest.raises(ConfigurationError, match=r"has no field .pni.\. Did you mean 'pin'"):
        Card.load(name)


def test_one_document_that_cannot_be_loaded_does_not_hide_the_others(api: Api, name: str):
    good = Card(pin=SecretStr("1"))
    good.save(name)
    _save_as_lax(api, Card, f"{name}-bad", {})
    slug = f"unknown-{uuid4()}"
    type_id = api.post("/block_types/", {"name": slug, "slug": slug}).body["id"]
    schema_id = api.post("/block_schemas/", {"fields": {}, "block_type_id": type_id}).body["id"]
    ids = {"block_type_id": type_id, "block_schema_id": schema_id}
    assert api.post("/block_documents/", {"name": name, "data": {}, **ids}).status == 201
    with get_sync_client() as client:
        found = {one.reference: one for one in check_all(client)}
    assert found[f"test-card/{name}"].finding.ok
    assert not found[f"test-card/{name}-bad"].finding.ok
    assert "no block type" in found[f"{slug}/{name}"].finding.said


def test_of_many_who_save_one_name_at_once_one_wins_and_the_others_are_told(name: str):
    def save(number: int) -> int | None:
        try:
            Badge(codes={"a": str(number)}, spare=Card(pin=SecretStr(str(number)))).save(name)
        except Conflict:
            return None
        return number

    with ThreadPoolExecutor(8) as pool:
        winners = [number for number in pool.map(save, range(8)) if number is not None]
    assert len(winners) == 1
    assert Badge.load(name).codes.get_secret_value() == {"a": str(winners[0])}


def test_of_many_who_save_over_one_block_the_last_wins_whole(name: str):
    def save(number: int) -> None:
        pin = Card(pin=SecretStr(str(number))) if number % 2 else None
        Badge(codes={str(number): str(number)}, spare=pin).save(name, overwrite=True)

    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(save, range(24)):
            loaded = Badge.load(name)
            ((key, value),) = loaded.codes.get_secret_value().items()
            assert key == value
            assert loaded.spare == (Card(pin=SecretStr(key)) if int(key) % 2 else None)


def test_a_base_class_is_not_registered():
    with pytest.raises(ConfigurationError, match="Pass is no block type"):
        Pass.register_type_and_schema()
    with pytest.raises(ConfigurationError, match="needs the type too"):
        documents.load(Pass, "x")
