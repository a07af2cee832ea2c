"""Blocks saved and loaded through the classes, against a real server."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr
from wire import Api

from penstock.blocks.base import Block
from penstock.blocks.system import JSON, Secret
from penstock.errors import ConfigurationError, Conflict, NotFound


class Key(Block):
    """A key."""

    _block_type_slug = "test-key"

    token: SecretStr
    host: str = "h"


class Door(Block):
    _block_type_slug = "test-door"

    name: str
    key: Key | None = None
    codes: dict[str, SecretStr] | None = None


@pytest.fixture(autouse=True)
def connected(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_API_URL", api.url)


@pytest.fixture
def name() -> str:
    return f"n-{uuid4()}"


def test_a_block_is_loaded_as_it_was_saved(name: str):
    door = Door(name="d", codes={"a": SecretStr("1234")}, key=Key(token=SecretStr("t")))
    document_id = door.save(name)
    loaded = Door.load(name)
    assert loaded == door
    assert loaded.codes is not None
    assert loaded.codes["a"].get_secret_value() == "1234"
    assert loaded._block_document_id == document_id
    assert Block.load(f"test-door/{name}") == door


def test_a_saved_block_inside_of_another_stays_a_reference(api: Api, name: str):
    key = Key(token=SecretStr("t"))
    key.save(name)
    Door(name="d", key=key).save(name)
    loaded = Door.load(name)
    assert loaded.key is not None
    assert loaded.key._block_document_id == key._block_document_id
    loaded.name = "e"
    loaded.save(overwrite=True)
    Key(token=SecretStr("t2")).save(name, overwrite=True)
    changed = Door.load(name).key
    assert changed is not None
    assert changed.token.get_secret_value() == "t2"
    with pytest.raises(Conflict, match=f"block test-door/{name}"):
        Key.delete(name)


def test_a_taken_name_is_not_overwritten_by_accident(name: str):
    JSON(value=1).save(name)
    with pytest.raises(Conflict, match="exists already") as caught:
        JSON(value=2).save(name)
    assert "overwrite=True" in str(caught.value.hint)
    JSON(value=2).save(name, overwrite=True)
    assert JSON.load(name).value == 2


def test_what_an_older_class_saved_does_not_stay_behind(api: Api, name: str):
    def version(**fields: Any) -> type[Block]:
        namespace: dict[str, Any] = {
            "__annotations__": fields,
            "_block_type_slug": "test-aging",
            "__module__": __name__,
        }
        return type("Aging", (Block,), namespace)

    version(old=str, kept=str)(old="o", kept="k").save(name)
    newer = version(kept=str, new=str)
    newer(kept="k", new="n").save(name, overwrite=True)
    assert newer.load(name).to_document_data() == {"kept": "k", "new": "n"}


def test_a_deleted_block_is_gone_and_a_missing_one_is_told_with_the_nearest_name(name: str):
    Secret(value=SecretStr("s")).save(name)
    with pytest.raises(NotFound, match=f"Did you mean '{name}'"):
        Secret.load(f"{name}x")
    Secret.delete(name)
    with pytest.raises(NotFound):
        Secret.load(name)
    with pytest.raises(NotFound):
        Secret.delete(name)


def test_a_type_that_was_never_saved_is_told_as_such(name: str):
    class Never(Block):
        a: int = 1

    with pytest.raises(NotFound, match="none was ever saved"):
        Never.load(name)


def test_a_name_that_cannot_stand_in_a_path_is_refused_before_anything_is_sent():
    with pytest.raises(ValueError, match="may not contain"):
        JSON(value=1).save("a&b")


def test_coroutines_save_load_and_delete_too(name: str):
    async def use() -> None:
        await JSON(value=1).asave(name)
        assert (await JSON.aload(name)).value == 1
        await JSON.adelete(name)

    asyncio.run(use())


def test_registering_twice_makes_one_type_and_one_schema():
    assert Door.register_type_and_schema() == Door.register_type_and_schema()


def test_a_block_of_another_type_is_not_taken_for_this_one(name: str):
    JSON(value=1).save(name)
    with pytest.raises(ConfigurationError, match="is no"):
        Door.load(f"json/{name}")
