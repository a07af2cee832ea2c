"""A block's fields in words, and values that are read for them."""

import subprocess
import sys
from enum import Enum
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field, SecretStr

from penstock.blocks import schema
from penstock.blocks.base import Block
from penstock.blocks.fields import SecretDict
from penstock.blocks.system import Secret, String
from penstock.cli import block_values
from penstock.cli.block_fields import BlockField, fields_of, find_field
from penstock.cli.errors import UsageProblem
from penstock.errors import ConfigurationError


class Grade(Enum):
    A = "a"
    B = "b"


class Hull(BaseModel):
    metres: int = Field(3, description="Length.")


class Vessel(Block):
    _block_type_slug = "test-vessel"

    name: str
    knots: float | None = Field(default=None, gt=0, le=60, description="How fast\nit is.")
    grade: Grade = Grade.A
    kind: Literal["vessel"] = "vessel"
    tags: list[str] = Field(default=[])
    depths: dict[str, int] = Field(default={})
    number: int | str = 3
    code: SecretStr | None = None
    codes: list[SecretStr] = Field(default=[])
    logins: SecretDict | None = None
    hull: Hull = Hull()
    captain: Secret | None = None
    either: Secret | String | None = None
    cargo: Block | None = None
    crew: list[Secret] = Field(default=[])
    berths: dict[str, Secret] = Field(default={})
    note: str | Secret = ""
    anything: Any = None


SCHEMA = schema.block_schema(Vessel)
FIELDS = {field.name: field for field in fields_of(SCHEMA)}


@pytest.mark.parametrize(
    ("name", "type_", "secret"),
    [
        ("name", "string", False),
        ("knots", "number", False),
        ("grade", "one of a, b", False),
        ("kind", "vessel", False),
        ("tags", "list of string", False),
        ("depths", "map of integer", False),
        ("number", "integer or string", False),
        ("code", "string", True),
        ("codes", "list of string", True),
        ("logins", "map of string", True),
        ("hull", "Hull", False),
        ("captain", "secret block", False),
        ("either", "secret block or string block", False),
        ("cargo", "any block", False),
        ("crew", "list of secret block", False),
        ("berths", "map of secret block", False),
        ("anything", "any", False),
    ],
)
def test_a_field_says_its_type_in_words_and_whether_it_is_secret(name: str, type_: str, secret: bool) -> None:
    assert (FIELDS[name].type, FIELDS[name].secret) == (type_, secret)


def test_a_field_says_what_is_allowed_what_it_means_and_what_it_is_by_default() -> None:
    knots, grade = FIELDS["knots"], FIELDS["grade"]
    assert (knots.constraints, knots.meaning, knots.default_text) == ("more than 0, at most 60", "How fast it is.", "")
    assert (grade.choices, grade.default_text) == (("a", "b"), "a")
    assert (FIELDS["tags"].default_text, FIELDS["number"].default_text) == ("", "3")


def test_required_fields_come_first() -> None:
    assert [field.name for field in FIELDS.values() if field.required] == ["name"]
    assert next(iter(FIELDS)) == "name"


def test_a_field_that_is_not_there_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match="Did you mean 'captain'"):
        find_field(list(FIELDS.values()), "captian", "test-vessel")


def _assigned(*assignments: str) -> dict[str, Any]:
    return block_values.assign({}, assignments, SCHEMA, "test-vessel")


def test_text_is_read_as_what_the_field_wants() -> None:
    values = ("knots=7", "tags=[1]", "name=7", "code=0123", "hull.metres=9", "depths.bow=2", 'anything={"a": 1}')
    assert _assigned(*values) == {
        "knots": 7,
        "tags": [1],
        "name": "7",
        "code": "0123",
        "hull": {"metres": 9},
        "depths": {"bow": 2},
        "anything": {"a": 1},
    }


@pytest.mark.parametrize("text", ["name", "=x", "hull.meters=3"])
def test_what_is_no_assignment_to_a_field_is_refused(text: str) -> None:
    with pytest.raises(UsageProblem):
        _assigned(text)


def test_only_secrets_in_clear_are_told_of() -> None:
    given = ("code=x", "name=y", "logins.a=z", "captain=pw")
    assert block_values.shown_secrets(given, SCHEMA) == ["code", "logins.a"]
    assert block_values.shown_secrets(("code=${env:CODE}",), SCHEMA) == []


def test_a_text_in_the_place_of_a_block_names_a_saved_one_wherever_it_stands() -> None:
    given = {
        "name": "secret/no-block",
        "captain": "pw",
        "either": "string/x",
        "crew": ["pw", {"value": "by value"}],
        "berths": {"left": "secret/pw"},
        "note": "secret/just-text",
        "cargo": "${env:CARGO}",
    }
    found = block_values.with_saved_blocks(given, SCHEMA, SCHEMA, lambda reference: ("saved", reference))
    assert found == {
        "name": "secret/no-block",
        "captain": ("saved", "secret/pw"),
        "either": ("saved", "string/x"),
        "crew": [("saved", "secret/pw"), {"value": "by value"}],
        "berths": {"left": ("saved", "secret/pw")},
        "note": "secret/just-text",
        "cargo": "${env:CARGO}",
    }


def test_every_type_that_comes_with_penstock_has_words_for_its_fields() -> None:
    from penstock.blocks import registry

    for block in registry.own_blocks():
        told: list[BlockField] = fields_of(schema.block_schema(block))
        assert [field.name for field in told if field.type in ("", "None") or not field.meaning] == []


def test_the_commands_of_blocks_are_there_without_pydantic() -> None:
    program = "import penstock.cli.root, penstock.cli.block, penstock.client.block_documents, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert not set(done.stdout.split()) & {"pydantic", "asyncio", "sqlalchemy", "yaml"}
