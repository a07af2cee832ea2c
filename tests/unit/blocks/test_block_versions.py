"""Versions of block classes, migrations, and what is refused where a class is written."""

import pickle
from typing import Any

import pytest
from pydantic import Field, SecretBytes, SecretStr, ValidationError

from penstock.blocks import schema, versions
from penstock.blocks.base import Block
from penstock.blocks.core import block_schema_to_key
from penstock.blocks.fields import SecretDict
from penstock.blocks.system import Secret
from penstock.errors import ConfigurationError
from penstock.model.block_documents import MASK
from penstock.model.block_schemas import BlockSchema
from penstock.sdk import block_data


class House(Block):
    """A house.

    Attributes:
        street: Where it is.

    Example:
        House(street="a", number=1)
    """

    _block_type_slug = "test-house"
    _block_schema_version = 3

    street: str
    number: int

    @Block.migrates(1)
    def _split(data: dict[str, Any]) -> dict[str, Any]:
        street, _, number = data.pop("address").rpartition(" ")
        return {**data, "road": street, "number": number}

    @Block.migrates(2)
    def _rename(data: dict[str, Any]) -> dict[str, Any]:
        return {"street": data.pop("road"), **data}


class Town(Block):
    _block_type_slug = "test-town"

    houses: list[House] = Field(default_factory=list)


def test_migrations_lead_from_each_older_version_to_the_present_one():
    assert House.upgrade_data({"address": "Long Road 7"}, "non-versioned") == {"street": "Long Road", "number": "7"}
    assert House.upgrade_data({"road": "r", "number": 1}, 2) == {"street": "r", "number": 1}
    same = {"street": "r", "number": 1}
    assert House.upgrade_data(same, "3") is same


def test_a_migration_leaves_the_data_that_it_was_given_alone():
    given = {"address": "Long Road 7"}
    House.upgrade_data(given, 1)
    assert given == {"address": "Long Road 7"}


def test_data_of_a_newer_version_is_refused_with_both_versions_and_the_type():
    with pytest.raises(ConfigurationError, match="saved by version 4 of type test-house, this installation knows 3"):
        House.upgrade_data({}, 4)
    with pytest.raises(ConfigurationError) as caught:
        Secret.upgrade_data({}, 2)
    assert caught.value.hint == "Upgrade the package penstock."


def test_a_migration_that_fails_does_not_tell_the_data():
    with pytest.raises(ConfigurationError, match="from version 1 failed with KeyError") as caught:
        House.upgrade_data({"hunter2": 1}, 1)
    assert "hunter2" not in str(caught.value)


def test_nested_data_carries_its_version_and_is_brought_up_to_date():
    town = Town(houses=[House(street="s", number=1)])
    data = town.to_document_data()
    assert data["houses"][0] == {
        "street": "s",
        "number": 1,
        "block_type_slug": "test-house",
        "block_schema_version": 3,
    }
    assert Block.from_document("test-town", data) == town
    old = {"address": "s 1", "block_type_slug": "test-house", "block_schema_version": 1}
    assert Block.from_document("test-town", {"houses": [old]}) == town


@pytest.mark.parametrize(("text", "meant"), [("non-versioned", 1), ("0.3.1", 1), ("7", 7), (7, 7), (None, 1), ("0", 1)])
def test_a_whole_number_is_a_version_of_data_and_any_other_text_means_the_first(text: Any, meant: int):
    assert versions.data_version(text) == meant


def _define(name: str = "Odd", **attributes: Any) -> type[Block]:
    return type(name, (Block,), {"__module__": __name__, **attributes})


def _from(version: int) -> Any:
    return Block.migrates(version)(lambda data: data)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"_block_type_slug": "Odd_Slug"}, "'Odd_Slug' cannot be the slug"),
        ({"_block_type_slug": "process"}, "the slug 'process' is that of a block type of Penstock's own"),
        ({"_block_type_slugg": "x"}, "_block_type_slugg, which means nothing. Did you mean '_block_type_slug'"),
        ({"_block_schema_version": 0}, "_block_schema_version is 0"),
        ({"_block_schema_version": True}, "_block_schema_version is True"),
        ({"up": _from(1)}, "a migration from version 1 leads nowhere"),
        ({"_block_schema_version": 3, "up": _from(1)}, "no migration from version 2"),
        ({"_block_schema_version": 2, "up": _from(1), "too": _from(1)}, "two migrations from version 1"),
    ],
)
def test_a_class_that_cannot_work_is_refused_where_it_is_written(attributes: dict[str, Any], message: str):
    with pytest.raises(ConfigurationError) as caught:
        _define(**attributes)
    assert message in str(caught.value)


def test_sections_of_the_docstring_are_no_description_and_the_example_is_one():
    assert House.get_description() == "A house."
    assert House.get_code_example() == 'House(street="a", number=1)'
    assert schema.block_schema(House)["description"] == "A house."


class Vault(Block):
    _block_type_slug = "test-vault"

    text: SecretStr | None = None
    raw: SecretBytes | None = None
    table: SecretDict | None = None
    row: list[SecretStr] = Field(default_factory=list)


def _vault() -> Vault:
    return Vault(
        text=SecretStr("hunter2"), raw=b"hunter2", table={"a": "hunter2", "b": {"c": "hunter2"}}, row=["hunter2"]
    )


def test_no_way_of_showing_a_block_shows_a_secret():
    vault = _vault()
    shown = [
        repr(vault),
        str(vault),
        vault.model_dump_json(),
        str(vault.model_dump()),
        str(vault.model_dump(mode="json")),
    ]
    assert not [text for text in shown if "hunter2" in text]
    assert vault.model_dump(mode="json")["table"] == {"a": MASK, "b": MASK}
    assert schema.block_schema(Vault)["secret_fields"] == ["text", "raw", "table.*", "row"]


def test_secrets_of_every_kind_survive_being_stored_and_pickled():
    vault = _vault()
    assert Block.from_document("test-vault", vault.to_document_data()) == vault
    copy = pickle.loads(pickle.dumps(vault))
    assert copy == vault
    assert copy.table.get_secret_value() == {"a": "hunter2", "b": {"c": "hunter2"}}


def test_blocks_are_equal_by_type_and_fields_wherever_they_are_saved():
    one, other = _vault(), _vault()
    one._block_document_name = "n"
    assert one == other
    assert one != Vault()
    assert Secret(value="a") != Secret(value="b")


class Animal(Block):
    _block_type_slug = "test-animal"
    _block_is_base = True


class Cat(Animal):
    name: str


class Dog(Animal):
    name: str


class Zoo(Block):
    any: Animal | None = None
    either: Cat | Dog | None = None
    whatever: Block | None = None
    many: dict[str, list[Animal]] = Field(default_factory=dict)


def test_the_class_is_always_the_one_that_the_slug_names():
    zoo = Zoo(
        any=Cat(name="a"), either=Dog(name="b"), whatever=Dog(name="c"), many={"x": [Dog(name="d"), Cat(name="e")]}
    )
    read = Block.from_document("zoo", zoo.to_document_data())
    assert read == zoo
    assert isinstance(read, Zoo)
    assert [type(animal) for animal in read.many["x"]] == [Dog, Cat]


def test_a_block_of_a_wrong_type_or_of_none_is_refused():
    with pytest.raises(ValidationError, match=r"has to be .test-animal., not .secret."):
        Zoo(any={"value": "x", "block_type_slug": "secret"})
    with pytest.raises(ValidationError, match="which type of Animal is meant"):
        Zoo(any={"name": "x"})
    with pytest.raises(ValidationError, match="has to be Animal, not Secret"):
        Zoo(any=Secret(value="x"))


class Node(Block):
    _block_type_slug = "test-node"

    name: str
    children: list["Node"] = Field(default_factory=list)
    token: SecretStr | None = None


def test_a_type_may_hold_itself():
    tree = Node(name="a", children=[Node(name="b", token=SecretStr("t"))])
    assert Block.from_document("test-node", tree.to_document_data()) == tree
    fields = schema.block_schema(Node)
    assert set(fields["properties"]) == {"name", "children", "token"}
    assert "token" in fields["secret_fields"]


def test_classes_are_found_by_what_the_server_calls_them():
    described = BlockSchema.model_validate(
        {"id": "00000000-0000-0000-0000-000000000001", "checksum": "x", "fields": schema.block_schema(Cat)}
    )
    assert Block.get_block_class_from_schema(described) is Cat
    assert Block.get_block_class_from_key(block_schema_to_key(described)) is Cat
    assert Block.is_block_class(Cat)
    assert not Block.is_block_class(Cat(name="x"))


def test_a_file_that_an_older_version_wrote_is_read():
    house = House(street="s", number=1)
    written = block_data.to_file(house)
    assert written is not None
    assert written["block_schema_version"] == 3
    assert block_data.from_file(written, "infrastructure") == house
    old = {"address": "s 1", "block_schema_version": 1, "_block_type_slug": "test-house"}
    assert block_data.from_file(old, "infrastructure") == house
