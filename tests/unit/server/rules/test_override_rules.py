"""What the server says of overrides, which knows schemas alone, is never stricter than the classes that agents have."""

from typing import Any

import pytest

from penstock.errors import ConfigurationError
from penstock.infrastructure.effective import Layer, effective, infrastructure_class, overridable
from penstock.infrastructure.registry import known_types
from penstock.model.base import JSONObject
from penstock.server.rules.overrides import wrong_overrides

#: Values in all kinds and in the spellings that people have for them.
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, 7, -1, 2.0, 0.5, "", " ", "x", "null", "true", "False", "YES", "off", "T", "1", " 7 ", "7.0", "1_000",
    "1e3", "0.5", "5m", "512m", "nan", "inf", "[1]", '{"a": 1}', '"7"', "${env:NUMBER}", [], ["x"], [1], {}, {"a": "b"},
)  # fmt: skip


def _wrong(overrides: JSONObject, *fields: JSONObject, **more: Any) -> dict[str, str]:
    schemas = [{"properties": properties, **more} for properties in fields]
    return {key: error.message for key, error in wrong_overrides(overrides, schemas, "here").items()}


@pytest.mark.parametrize("slug", known_types())
def test_what_the_server_refuses_every_agent_would_refuse(slug: str) -> None:
    schema = overridable(infrastructure_class(slug))
    judged = [(key, value) for name in schema["properties"] for key in (name, f"{name}.x") for value in VALUES]
    refused = [(key, value) for key, value in judged if wrong_overrides({key: value}, [schema], "here")]
    assert refused
    for key, value in refused:
        with pytest.raises(ConfigurationError, match=rf"\b{key.partition('.')[0]}\b"):
            effective(slug, None, [Layer("here", {key: value})])


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ({"imag": "x"}, "here: 'imag' cannot be set: the infrastructure has no field 'imag'. Did you mean 'image'?"),
        ({"image": ["x"]}, "here: 'image' cannot be set: it has to be a text, not ['x']."),
        ({"image.tag": "1"}, "here: 'image.tag' cannot be set: 'image' is a text, which has no parts."),
        ({"tries": "lots"}, "here: 'tries' cannot be set: it has to be a whole number, not 'lots'."),
        ({"tries": 1.5}, "here: 'tries' cannot be set: it has to be a whole number, not 1.5."),
        ({"cpus": "two"}, "here: 'cpus' cannot be set: it has to be a number, not 'two'."),
        ({"keep": "perhaps"}, "here: 'keep' cannot be set: it has to be true or false, not 'perhaps'."),
        ({"keep": 2}, "here: 'keep' cannot be set: it has to be true or false, not 2."),
    ],
)
def test_an_error_says_what_is_wrong_and_what_belongs_there(override: JSONObject, said: str) -> None:
    fields = {
        "image": {"type": "string"},
        "tries": {"type": "integer"},
        "cpus": {"type": "number"},
        "keep": {"type": "boolean"},
    }
    assert _wrong(override, fields) == {next(iter(override)): said}


def test_what_one_version_of_a_type_takes_is_taken() -> None:
    older, newer = {"memory": {"type": "integer"}}, {"memory": {"type": "string"}, "swap": {"type": "integer"}}
    assert _wrong({"memory": "512m", "swap": 1}, older, newer) == {}
    assert _wrong({"memory": "512m", "swap": 1}, older) == {
        "memory": "here: 'memory' cannot be set: it has to be a whole number, not '512m'.",
        "swap": "here: 'swap' cannot be set: the infrastructure has no field 'swap'.",
    }


@pytest.mark.parametrize("gathers", [True, {}, {"type": "string"}])
def test_a_type_that_gathers_what_it_has_no_names_for_takes_all_names(gathers: Any) -> None:
    fields = {"size": {"type": "integer"}}
    assert _wrong({"anything": 1}, fields, additionalProperties=gathers) == {}
    assert _wrong({"anything": 1}, fields, additionalProperties=False) != {}


@pytest.mark.parametrize(
    "field",
    [{}, {"type": "array"}, {"type": "object"}, {"anyOf": [{"type": "integer"}]}, {"allOf": [{"$ref": "#/x"}]}, True],
)
def test_values_of_fields_that_are_not_plain_are_left_to_agents(field: Any) -> None:
    for value in VALUES:
        assert _wrong({"field": value, "field.part": value}, {"field": field}) == {}
