"""Parameters of a run against the flow's schema."""

from enum import Enum
from typing import Literal

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import ParameterError
from penstock.server.rules.parameters import refuse_unfit_parameters, refuse_unknown_parameters


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Point(pydantic.BaseModel):
    x: int
    y: float = 0


class Parameters(pydantic.BaseModel):
    name: str = pydantic.Field(min_length=1, pattern="^[a-z]+$")
    times: int = pydantic.Field(default=1, ge=1, lt=10)
    colour: Colour = Colour.RED
    mode: Literal["fast", "safe"] = "fast"
    points: list[Point] = []
    pair: tuple[int, str] | None = None
    limits: dict[str, float] = {}
    anything: object = None


SCHEMA = Parameters.model_json_schema()


@pytest.mark.parametrize(
    "parameters",
    [
        {"name": "a"},
        {"name": "a", "times": 9, "colour": "blue", "mode": "safe"},
        {"name": "a", "points": [{"x": 1}, {"x": 2, "y": 0.5}], "limits": {"a": 1}},
        {"name": "a", "pair": [1, "b"]},
        {"name": "a", "pair": None, "anything": {"whatever": [1, None]}},
    ],
)
def test_what_the_flow_accepts_is_accepted(parameters):
    Parameters.model_validate(parameters)
    refuse_unfit_parameters(parameters, SCHEMA)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "name is missing"),
        ({"name": ""}, "name: at least 1 characters"),
        ({"name": "A"}, "name: 'A' does not match"),
        ({"name": 1}, "name: 1 is no string"),
        ({"name": "a", "times": 0}, "times: 0 breaks the minimum 1"),
        ({"name": "a", "times": 10}, "times: 10 breaks the exclusiveMaximum 10"),
        ({"name": "a", "times": True}, "times: True is no integer"),
        ({"name": "a", "times": 1.5}, "times: 1.5 is no integer"),
        ({"name": "a", "colour": "green"}, "colour: 'green' is none of 'red', 'blue'"),
        ({"name": "a", "mode": "slow"}, "mode: 'slow' is none of"),
        ({"name": "a", "points": [{"x": 1}, {"y": 2}]}, r"points\[1\].x is missing"),
        ({"name": "a", "points": {"x": 1}}, "points: .* is no array"),
        ({"name": "a", "pair": [1]}, "pair: .* fits none"),
        ({"name": "a", "limits": {"a": "b"}}, "limits.a: 'b' is no number"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(parameters, message):
    with pytest.raises(ParameterError, match=message):
        refuse_unfit_parameters(parameters, SCHEMA)


def test_an_unknown_name_is_refused_with_the_nearest_one():
    with pytest.raises(ParameterError, match=r"no parameter 'tmies'\. Did you mean 'times'") as caught:
        refuse_unknown_parameters({"tmies": 1}, SCHEMA)
    assert caught.value.hint is not None
    assert "name, times" in caught.value.hint


def test_a_flow_that_takes_any_keyword_accepts_any_name():
    refuse_unknown_parameters({"whatever": 1}, {"properties": {"a": {}}, "additionalProperties": True})


def test_without_a_schema_nothing_is_refused():
    refuse_unknown_parameters({"whatever": 1}, None)
    refuse_unfit_parameters({"whatever": 1}, {})


def test_required_parameters_may_be_missing_from_a_deployment():
    refuse_unfit_parameters({}, SCHEMA, partial=True)


def test_null_is_accepted_where_an_older_schema_only_says_so_by_its_default():
    refuse_unfit_parameters({"o": None}, {"properties": {"o": {"type": "object", "default": None}}})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=3), children, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(sorted(SCHEMA["properties"])), json_values))
def test_nothing_that_the_flow_accepts_strictly_is_refused(parameters):
    try:
        Parameters.model_validate_json(pydantic.TypeAdapter(dict).dump_json(parameters), strict=True)
    except pydantic.ValidationError:
        return
    refuse_unfit_parameters(parameters, SCHEMA)
