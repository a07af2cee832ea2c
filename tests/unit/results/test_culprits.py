"""The part of a value that keeps it from being written is named."""

import pickle
import threading
from dataclasses import dataclass
from typing import Any

import pytest

from penstock.results.culprits import find_culprit


class Slotted:
    __slots__ = ("inner",)

    def __init__(self, inner: Any) -> None:
        self.inner = inner


@dataclass
class Holder:
    name: str
    inner: Any


def can_pickle(value: Any) -> bool:
    try:
        pickle.dumps(value)
    except Exception:
        return False
    return True


LOCK = threading.Lock()


@pytest.mark.parametrize(
    ("value", "way"),
    [
        ({"a": 1, "db": [0, {"lock": LOCK}]}, "['db'][1]['lock']"),
        (Holder("h", (1, LOCK)), ".inner[1]"),
        (Slotted(Slotted(LOCK)), ".inner.inner"),
        (ValueError("x", LOCK), ".args[1]"),
        (LOCK, ""),
    ],
)
def test_the_innermost_part_that_cannot_be_written_is_found(value: Any, way: str) -> None:
    assert find_culprit(value, can_pickle) == (way, LOCK)


def test_a_value_that_holds_itself_ends_the_search() -> None:
    value: dict[str, Any] = {"lock": LOCK}
    value["self"] = value
    way, part = find_culprit(value, can_pickle)
    assert (way, part) == ("['lock']", LOCK)


def test_a_value_whose_parts_are_all_innocent_is_itself_to_blame() -> None:
    class Stubborn:
        def __init__(self) -> None:
            self.innocent = 1

        def __reduce__(self) -> Any:
            raise TypeError("never")

    stubborn = Stubborn()
    assert find_culprit([stubborn], can_pickle) == ("[0]", stubborn)
