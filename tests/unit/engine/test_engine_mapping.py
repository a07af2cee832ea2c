"""What mapping takes apart, and what each call gets."""

import io
from inspect import signature
from types import SimpleNamespace
from uuid import uuid4

import pytest

from penstock.engine.annotations import allow_failure, quote, unmapped
from penstock.engine.futures import TaskRunFuture
from penstock.engine.mapping import elements, is_iterable, mapped_futures, mapped_sources
from penstock.errors import ParameterError
from penstock.model.states import State, StateType


def plain(a, b=0, c=0): ...


def mapped(fn, **arguments):
    return elements("t", signature(fn), arguments)


def future(value=None, kind=StateType.COMPLETED):
    made = TaskRunFuture(SimpleNamespace(id=uuid4(), name="load-0", flow_run_id=uuid4(), in_task=False))
    made.set_state(State(type=kind, data=value))
    return made


def test_each_call_gets_its_element_and_all_calls_what_is_unmapped():
    assert mapped(plain, a=[1, 2], b=unmapped([3]), c="text") == [
        {"a": 1, "b": [3], "c": "text"},
        {"a": 2, "b": [3], "c": "text"},
    ]


def test_different_lengths_are_named():
    with pytest.raises(ParameterError, match="a has 1, b has 2"):
        mapped(plain, a=[1], b=[1, 2])


def test_mapping_over_nothing_is_refused():
    with pytest.raises(ParameterError, match="none of its arguments"):
        mapped(plain, a=1)


def test_mapping_over_something_empty_makes_no_call():
    assert mapped(plain, a=[], b=unmapped(1)) == []


def test_texts_bytes_and_files_are_passed_whole_and_all_else_that_can_be_iterated_is_taken_apart():
    class OldStyle:
        def __getitem__(self, index):
            return [1, 2][index]

    assert not any(map(is_iterable, ["text", b"bytes", io.StringIO("file"), io.BytesIO(), 1, None, object()]))
    assert all(map(is_iterable, [[1], (1,), {1}, {"key": 1}, range(2), (n for n in [1]), OldStyle()]))
    assert mapped(plain, a=(n for n in range(2)), b={"x": 1, "y": 2}) == [{"a": 0, "b": "x"}, {"a": 1, "b": "y"}]


def test_variable_arguments_are_mapped_one_by_one():
    def many(*args, **kwargs): ...

    found = mapped(many, args=([1, 2], unmapped(9), [3, 4]), kwargs={"x": [5, 6], "y": 7})
    assert found == [
        {"args": (1, 9, 3), "kwargs": {"x": 5, "y": 7}},
        {"args": (2, 9, 4), "kwargs": {"x": 6, "y": 7}},
    ]
    with pytest.raises(ParameterError, match=r"args\[0\] has 1, x has 2"):
        mapped(many, args=([1],), kwargs={"x": [5, 6]})


def test_a_mark_around_the_whole_is_put_around_each_element():
    assert mapped(plain, a=allow_failure([1, 2]), b=quote([3, 4])) == [
        {"a": allow_failure(1), "b": quote(3)},
        {"a": allow_failure(2), "b": quote(4)},
    ]


def test_the_result_of_a_future_is_taken_apart_and_each_element_knows_where_it_comes_from():
    one = future([1, 2])
    assert mapped(plain, a=one, b=unmapped(one)) == [{"a": 1, "b": one}, {"a": 2, "b": one}]
    assert mapped_sources({"a": one, "b": [one]}) == {"a": [one.key]}
    assert mapped_futures({"a": one, "b": unmapped(one), "c": [one]}) == [one]


def test_mapping_over_a_future_without_elements_or_that_failed_says_so():
    with pytest.raises(ParameterError, match="mapped over a, whose result, int, has no elements"):
        mapped(plain, a=future(1))
    with pytest.raises(ZeroDivisionError):
        mapped(plain, a=future(ZeroDivisionError(), StateType.FAILED))
