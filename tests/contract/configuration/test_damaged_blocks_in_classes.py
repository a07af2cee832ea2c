"""What the classes say of documents that somebody has edited in the database."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from block_server import Served, served
from pydantic import Field, SecretStr

from penstock.blocks.base import Block
from penstock.blocks.documents import check_all
from penstock.client import get_sync_client
from penstock.errors import ConfigurationError, PenstockError


class Lamp(Block):
    _block_type_slug = "test-lamp"

    watts: int = 1
    key: SecretStr | None = None


class Room(Block):
    _block_type_slug = "test-room"

    lamp: Lamp
    others: list[Lamp] = Field(default_factory=list)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    with served(f"sqlite:///{tmp_path / 'test.db'}") as found:
        monkeypatch.setenv("PENSTOCK_API_URL", found.api.url)
        yield found


def _damage(place: Served, document: UUID, data: Any) -> None:
    assert place.edit("UPDATE block_document SET data = :data WHERE id = :id", data=json.dumps(data), id=document) == 1


def _findings() -> dict[str, tuple[bool, str]]:
    with get_sync_client() as client:
        return {one.reference: (one.finding.ok, one.finding.said) for one in check_all(client)}


def test_a_damaged_document_is_told_by_name_and_field_and_the_others_are_found(place: Served):
    Lamp(watts=3).save("well")
    hurt = Lamp(watts=4).save("hurt")
    _damage(place, hurt, {"watts": "bright", "key": None})
    with pytest.raises(ConfigurationError, match=r"The block test-lamp/hurt cannot be loaded: watts: .*integer"):
        Lamp.load("hurt")
    found = _findings()
    assert found["test-lamp/well"][0]
    assert not found["test-lamp/hurt"][0]
    assert Lamp.load("well").watts == 3
    Lamp(watts=5).save("hurt", overwrite=True)
    assert Lamp.load("hurt").watts == 5


def test_data_that_is_no_object_is_told_by_name(place: Served):
    hurt = Lamp(watts=4).save("hurt")
    _damage(place, hurt, [1])
    with pytest.raises(PenstockError, match=r"test-lamp/hurt.*data"):
        Lamp.load("hurt")
    assert not _findings()["test-lamp/hurt"][0]


def test_a_reference_to_what_is_gone_is_told_by_field(place: Served):
    lamp = Lamp(watts=4)
    lamp.save("gone")
    room = Room(lamp=lamp, others=[Lamp(watts=5)])
    document = room.save("dark")
    gone = {"$ref": {"block_document_id": "00000000-0000-0000-0000-000000000007"}}
    _damage(place, document, {"lamp": gone, "others": []})
    with pytest.raises(PenstockError, match=r"test-room/dark.*lamp.*00000000-0000-0000-0000-000000000007"):
        Room.load("dark")
    ok, said = _findings()["test-room/dark"]
    assert not ok
    assert "lamp" in said
