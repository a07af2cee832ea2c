"""Equal arguments have equal hashes in every process; different ones do not."""

import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import SerializationError
from penstock.results.hashing import code_hash, hash_of
from penstock.tasks import hash_objects

scalars = st.none() | st.booleans() | st.integers() | st.text() | st.binary()
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10)


def typed(value: Any) -> Any:
    """`value` in a form that tells 1 from True."""
    if isinstance(value, list):
        return [typed(item) for item in value]
    if isinstance(value, dict):
        return {key: typed(item) for key, item in value.items()}
    return type(value), value


@given(values, values)
def test_hashes_are_equal_exactly_if_the_values_are(a: Any, b: Any) -> None:
    assert (hash_of(a) == hash_of(b)) == (typed(a) == typed(b))


@given(st.dictionaries(st.text() | st.integers(), values), st.randoms())
def test_the_order_of_a_dictionary_does_not_matter(value: dict[Any, Any], random: Any) -> None:
    items = list(value.items())
    random.shuffle(items)
    assert hash_of(dict(items)) == hash_of(value)


@pytest.mark.parametrize(
    ("a", "b"), [(1, True), (1, "1"), (1, 1.0), ([1], (1,)), ({1: 2}, {"1": 2}), ({1}, frozenset({1})), ("", None)]
)
def test_types_matter(a: Any, b: Any) -> None:
    assert hash_of(a) != hash_of(b)
    assert hash_of([a]) != hash_of([b])


@dataclass
class Setting:
    names: frozenset[str]
    limits: dict[str, int]


PROGRAM = """
import dataclasses
@dataclasses.dataclass
class Setting:
    names: frozenset
    limits: dict
from penstock.results.hashing import hash_of, code_hash
def f(x):
    return x in {"a", "b", "c"}
print(hash_of(Setting(frozenset("abcdef"), {"x": 1}), {"k", 2, None}, b"b"), code_hash(f))
"""


def test_hashes_are_equal_in_every_process() -> None:
    found = set()
    for seed in ("1", "2", "3"):
        env = {**os.environ, "PYTHONHASHSEED": seed}
        found.add(subprocess.run([sys.executable, "-c", PROGRAM], env=env, capture_output=True, check=True).stdout)
    assert len(found) == 1


def test_what_cannot_be_hashed_is_named() -> None:
    with pytest.raises(SerializationError, match=r"A _thread\.lock cannot be hashed"):
        hash_of([{"a": threading.Lock()}])
    assert hash_objects(threading.Lock()) is None
    assert hash_objects(1, a=2) == hash_objects(1, a=2) != hash_objects(1, a=3)


def test_the_hash_of_code_follows_constants_and_inner_functions() -> None:
    one, two = (lambda x: x + 1), (lambda x: x + 2)
    assert code_hash(one) != code_hash(two)
    nested = [code_hash(lambda: [y * 2 for y in range(3)]), code_hash(lambda: [y * 2 for y in range(4)])]
    assert nested[0] != nested[1]
    assert code_hash(partial(one, 1)) == code_hash(one)
    assert code_hash(len) is None
