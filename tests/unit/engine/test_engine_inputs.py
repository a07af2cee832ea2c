from collections import namedtuple
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from penstock.engine import inputs
from penstock.engine.annotations import allow_failure, quote
from penstock.engine.futures import TaskRunFuture
from penstock.model.states import State, StateType

Pair = namedtuple("Pair", "left right")


@dataclass
class Box:
    content: object


def future(value=None, kind=StateType.COMPLETED):
    made = TaskRunFuture(SimpleNamespace(id=uuid4(), name="load-0", flow_run_id=uuid4()))
    made.set_state(State(type=kind, data=value))
    return made


nested = st.recursive(
    st.integers() | st.text() | st.none(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
)


@given(nested)
def test_what_holds_no_future_stays_the_very_same_object(value):
    assert inputs.to_results(value) is value


@given(nested)
def test_a_future_is_found_wherever_it_lies(value):
    one = future(1)
    assert inputs.futures_in({"deep": [value, (value, [one])]}) == [one]


def test_futures_are_replaced_in_every_kind_of_collection():
    given_value = {"list": [future(1), 2], "pair": Pair(future(3), 4), "set": {5}, "box": Box(future(6))}
    assert inputs.to_results(given_value) == {"list": [1, 2], "pair": Pair(3, 4), "set": {5}, "box": Box(6)}


def test_the_callers_own_collection_is_left_alone():
    mine = [future(1)]
    inputs.to_results(mine)
    assert isinstance(mine[0], TaskRunFuture)


def test_a_collection_that_contains_itself_is_walked_once():
    endless = [future(1)]
    endless.append(endless)
    assert inputs.futures_in(endless) == [endless[0]]


def test_quoted_values_are_not_looked_into():
    one = future(1)
    assert inputs.to_results(quote([one])) == [one]
    assert inputs.futures_in(quote([one])) == []


def test_a_failed_upstream_stops_the_task_and_is_named():
    error = ValueError("broken")
    with pytest.raises(inputs.UpstreamFailed) as caught:
        inputs.to_results([future(error, StateType.FAILED)])
    state = caught.value.state
    assert state.is_failed()
    assert state.name == "UpstreamFailed"
    assert "load-0" in state.message
    assert state.result(raise_on_failure=False) is error


def test_an_allowed_failure_is_passed_as_the_exception():
    error = ValueError("broken")
    assert inputs.to_results(allow_failure(future(error, StateType.FAILED))) is error
    assert inputs.to_results(allow_failure([future(error, StateType.FAILED), 1])) == [error, 1]


def test_a_state_stands_for_its_result():
    assert inputs.to_results([State(type=StateType.COMPLETED, data=7)]) == [7]


def test_futures_in_models_are_replaced_and_the_model_stays_what_it_is():
    class Model(BaseModel):
        model_config = ConfigDict(extra="allow", frozen=True, arbitrary_types_allowed=True)
        content: Any
        plain: int = 1

    given_value = Model(content=[future(1)], more=future(2))
    found = inputs.to_results(given_value)
    assert type(found) is Model
    assert (found.content, found.more, found.plain) == ([1], 2, 1)
    assert given_value.content != [1]
    same = Model(content=[1], more=2)
    assert inputs.to_results(same) is same


def test_objects_of_dataclasses_are_not_made_anew_by_their_constructor():
    @dataclass(frozen=True)
    class Counted:
        content: object
        made: int = field(default=0, init=False)

        def __post_init__(self):
            object.__setattr__(self, "made", self.made + 1)

    found = inputs.to_results(Counted(future(1)))
    assert (found.content, found.made) == (1, 1)


def test_keys_of_dictionaries_may_be_futures():
    assert inputs.to_results({future("a"): [future(1)]}) == {"a": [1]}
