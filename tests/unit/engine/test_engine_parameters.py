import inspect
from dataclasses import dataclass
from datetime import date
from enum import Enum

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from penstock.engine import parameters
from penstock.errors import ParameterError


class Colour(Enum):
    RED = "red"


class Source(BaseModel):
    url: str
    retries: int = 3


@dataclass
class Point:
    x: int


class Opaque:
    pass


def load(source: Source, day: date, colours: list[Colour] | None = None, *, limit: int = 10, json: str = ""):
    """Takes all kinds of parameters, some with names that a model would trip over."""


def free(*numbers: int, **options: str): ...


def signature(fn):
    return inspect.signature(fn)


def test_an_unknown_argument_is_named_with_the_nearest_parameter():
    with pytest.raises(ParameterError) as caught:
        parameters.bind(signature(load), (), {"sorce": 1}, "flow 'load'")
    assert "'sorce'" in caught.value.message
    assert "Did you mean 'source'?" in caught.value.message


def test_a_missing_argument_is_named():
    with pytest.raises(ParameterError, match="'day'"):
        parameters.bind(signature(load), (1,), {}, "flow 'load'")
    with pytest.raises(ParameterError, match="'source', 'day' are without a value"):
        parameters.from_names(signature(load), {}, "flow 'load'")


def test_values_are_converted_to_what_the_annotations_say():
    found = parameters.validated(
        load, {"source": {"url": "u"}, "day": "2024-02-29", "colours": ["red"], "limit": "5"}, "flow 'load'"
    )
    assert found == {"source": Source(url="u"), "day": date(2024, 2, 29), "colours": [Colour.RED], "limit": 5}


def test_every_wrong_value_is_named_with_what_is_wrong():
    with pytest.raises(ParameterError) as caught:
        parameters.validated(load, {"source": {"url": 1}, "day": "soon", "limit": 1}, "flow 'load'")
    assert "'source.url'" in caught.value.message
    assert "'day'" in caught.value.message
    assert "'limit'" not in caught.value.message


def test_annotations_that_only_a_type_checker_can_read_check_nothing():
    def fn(a: "NotImported", b: int = 1): ...  # noqa: F821

    assert parameters.validated(fn, {"a": object, "b": 2}, "flow") == {"a": object, "b": 2}


def test_any_class_can_be_an_annotation():
    def fn(a: Opaque): ...

    value = Opaque()
    assert parameters.validated(fn, {"a": value}, "flow")["a"] is value
    with pytest.raises(ParameterError, match="'a'"):
        parameters.validated(fn, {"a": 1}, "flow")


def test_variadic_parameters_are_checked_one_by_one():
    found = parameters.validated(free, {"numbers": ("1", 2), "options": {"a": "b"}}, "flow")
    assert found == {"numbers": (1, 2), "options": {"a": "b"}}
    with pytest.raises(ParameterError, match=r"'numbers\.1'"):
        parameters.validated(free, {"numbers": (1, "x")}, "flow")


def test_names_given_by_a_deployment_reach_the_catch_all_parameter():
    found = parameters.from_names(signature(free), {"numbers": [1], "a": "b", "options": {"c": "d"}}, "flow")
    assert found == {"numbers": (1,), "options": {"a": "b", "c": "d"}}
    assert parameters.as_call(signature(free), found) == ((1,), {"a": "b", "c": "d"})


@given(st.dictionaries(st.sampled_from(["source", "day", "colours", "limit", "json", "x"]), st.integers()))
def test_binding_by_name_either_fits_the_function_or_is_refused(given_values):
    try:
        found = parameters.from_names(signature(load), given_values, "flow")
    except ParameterError:
        assert "x" in given_values or not {"source", "day"} <= given_values.keys()
        return
    args, kwargs = parameters.as_call(signature(load), found)
    assert signature(load).bind(*args, **kwargs).arguments == found


def test_the_schema_has_the_shape_that_deployments_keep():
    schema = parameters.parameter_schema(load)
    assert list(schema) == ["title", "type", "properties", "required", "definitions"]
    assert schema["required"] == ["source", "day"]
    assert [p["position"] for p in schema["properties"].values()] == [0, 1, 2, 3, 4]
    assert schema["properties"]["limit"] == {"title": "limit", "type": "integer", "default": 10, "position": 3}
    assert schema["properties"]["source"]["$ref"] == "#/definitions/Source"
    assert schema["definitions"]["Source"]["properties"]["retries"]["default"] == 3


def test_a_function_without_parameters_has_an_empty_schema():
    assert parameters.parameter_schema(lambda: None) == {
        "title": "Parameters",
        "type": "object",
        "properties": {},
        "required": None,
        "definitions": None,
    }


def test_a_parameter_whose_type_has_no_schema_accepts_anything():
    def fn(a: Opaque, b): ...

    schema = parameters.parameter_schema(fn)
    assert schema["properties"] == {"a": {"title": "a", "position": 0}, "b": {"title": "b", "position": 1}}


def test_what_json_cannot_hold_is_replaced_by_a_note_of_its_type():
    found = parameters.to_plain_json(
        {"a": Opaque(), "b": [Opaque(), 1], "c": Point(1), "d": float("nan"), "e": b"\xff"}
    )
    assert "Opaque" in found["a"]
    assert found["b"][1] == 1
    assert found["c"] == {"x": 1}
    assert found["d"] == "NaN"
    assert isinstance(found["e"], str)
