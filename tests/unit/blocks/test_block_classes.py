"""Block classes: their fields, their type, their JSON schema, their data."""

import json
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import ClassVar, Literal
from uuid import uuid4

import pydantic
import pytest
from pydantic import Field, SecretStr

from penstock.blocks import catalogue, documents, registry, schema
from penstock.blocks.base import Block
from penstock.blocks.system import JSON, DateTime, Secret, String
from penstock.errors import ConfigurationError
from penstock.storage.local import LocalFileSystem


class Policy(Enum):
    ALWAYS = "Always"
    NEVER = "Never"


class Registry(Block):
    token: SecretStr
    host: str = "h"


class Machine(Block):
    """A machine."""

    _block_type_name = "Big Machine"
    _block_schema_capabilities: ClassVar[list[str] | None] = ["compute"]

    type: Literal["machine"] = "machine"
    image: str | None = Field(default=None, description="What runs on it.")
    policy: Policy | None = None
    registry: Registry | None = None
    labels: dict[str, str] = Field(default_factory=dict, title="Marks")
    keys: dict[str, SecretStr] = Field(default_factory=dict)


class Special(Machine):
    pass


def test_an_unknown_field_is_refused_with_the_nearest_one():
    with pytest.raises(pydantic.ValidationError, match=r"Big Machine has no field 'imgae'\. Did you mean 'image'\?"):
        Machine(imgae="x")


def test_a_validation_error_does_not_tell_what_was_given():
    with pytest.raises(pydantic.ValidationError) as caught:
        Registry(token="hunter2", hots="x")
    assert "hunter2" not in str(caught.value)


def test_a_slug_comes_from_the_name_of_the_type_or_of_the_class():
    assert Machine.get_block_type_slug() == "big-machine"
    assert Registry.get_block_type_slug() == "registry"
    assert LocalFileSystem.get_block_type_slug() == "local-file-system"


def test_a_derived_class_is_a_type_of_its_own():
    assert (Special.get_block_type_name(), Special.get_block_type_slug()) == ("Special", "special")
    assert Special.get_block_capabilities() == {"compute"}


def test_the_schema_has_the_shape_of_the_wire():
    fields = schema.block_schema(Machine)
    assert fields["properties"] == {
        "type": {"title": "Type", "default": "machine", "enum": ["machine"], "type": "string"},
        "image": {"title": "Image", "type": "string", "description": "What runs on it."},
        "policy": {"$ref": "#/definitions/Policy"},
        "registry": {"$ref": "#/definitions/Registry"},
        "labels": {"title": "Marks", "type": "object", "additionalProperties": {"type": "string"}},
        "keys": {
            "title": "Keys",
            "type": "object",
            "additionalProperties": {"type": "string", "writeOnly": True, "format": "password"},
        },
    }
    assert fields["secret_fields"] == ["registry.token", "keys.*"]
    assert fields["block_type_slug"] == "big-machine"
    reference = {"block_type_slug": "registry", "block_schema_checksum": schema.block_checksum(Registry)}
    assert fields["block_schema_references"] == {"registry": reference}
    assert fields["definitions"]["Registry"]["block_type_slug"] == "registry"
    assert fields["definitions"]["Registry"]["secret_fields"] == ["token"]
    assert fields["description"] == "A machine."


def test_a_property_may_be_called_like_a_keyword():
    class Odd(Block):
        default: str = "a"
        const: int | None = None
        anyOf: list[str] = Field(default_factory=list)

    assert list(schema.block_schema(Odd)["properties"]) == ["default", "const", "anyOf"]


def test_data_holds_secrets_in_clear_and_nested_blocks_by_value():
    machine = Machine(registry=Registry(token=SecretStr("t")), keys={"a": SecretStr("k")}, policy=Policy.NEVER)
    data = machine.to_document_data()
    assert data == {
        "type": "machine",
        "image": None,
        "policy": "Never",
        "registry": {"token": "t", "host": "h", "block_type_slug": "registry"},
        "labels": {},
        "keys": {"a": "k"},
    }
    assert Block.from_document("big-machine", json.loads(json.dumps(data))) == machine


def test_a_nested_block_that_was_saved_is_stored_as_a_reference():
    registry_block = Registry(token=SecretStr("t"))
    registry_block._block_document_id = uuid4()
    data = Machine(registry=registry_block).to_document_data()
    assert data["registry"] == {"$ref": {"block_document_id": str(registry_block._block_document_id)}}


def test_a_nested_block_is_read_by_its_own_class():
    class Base(Block):
        pass

    class One(Base):
        a: int

    class Holder(Block):
        held: Base

    holder = Holder(held=One(a=1))
    read = Block.from_document("holder", holder.to_document_data())
    assert isinstance(read, Holder)
    assert isinstance(read.held, One)


def test_a_secret_is_not_shown():
    assert "hunter2" not in repr(Secret(value=SecretStr("hunter2")))
    assert Secret(value=SecretStr("hunter2")).get() == "hunter2"


@pytest.mark.parametrize(
    "block",
    [
        JSON(value={"a": [1, None]}),
        String(value="é"),
        DateTime(value=datetime(2026, 1, 2, tzinfo=UTC)),
        Secret(value=SecretStr("s")),
        LocalFileSystem(basepath=Path("/srv")),
    ],
)
def test_simple_blocks_survive_being_stored(block):
    data = json.loads(json.dumps(block.to_document_data()))
    assert Block.from_document(block.get_block_type_slug(), data) == block


def test_an_unknown_slug_is_refused_with_the_nearest_one():
    with pytest.raises(ConfigurationError, match=r"no block type .secrte. here\. Did you mean .secret.") as caught:
        registry.find_block("secrte")
    assert caught.value.hint is not None


def test_a_block_is_loaded_with_its_type_or_through_its_class():
    with pytest.raises(ConfigurationError, match=r"Block\.load needs the type too"):
        documents.load(Block, "name")
    with pytest.raises(ConfigurationError, match="secret/name is no String block"):
        String.load("secret/name")


def test_a_block_without_a_name_is_not_saved():
    with pytest.raises(ConfigurationError, match="needs a name"):
        String(value="x").save()


def test_the_catalogue_of_the_server_says_what_the_classes_say():
    shipped = Path(catalogue.__file__).parents[1] / "server/database/block_catalogue.json"
    assert shipped.read_text() == catalogue.render(), (
        "python -m penstock.blocks.catalogue > src/penstock/server/database/block_catalogue.json"
    )
