"""What a server remembers: for some seconds, until it changes it, and never what was changed while it was read."""

from collections.abc import Callable

import pytest

from penstock import clock
from penstock.server.database.memory import Memory


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which stands still."""
    now = [100.0]
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])
    return now


def counting() -> Callable[[], int]:
    """A read that finds something else each time."""
    found = iter(range(1, 100))
    return lambda: next(found)


def test_a_value_is_read_once_in_its_time(seconds: list[float]):
    memory, read = Memory(), counting()
    assert [memory.recall("a", read, 2.0) for _ in range(3)] == [1, 1, 1]
    seconds[0] += 1.9
    assert memory.recall("a", read, 2.0) == 1
    seconds[0] += 0.2
    assert memory.recall("a", read, 2.0) == 2


def test_a_change_is_read_at_once_and_others_stay(seconds: list[float]):
    memory, read = Memory(), counting()
    assert [memory.recall(topic, read, 2.0) for topic in ("a", "b")] == [1, 2]
    memory.forget({"a", "never-asked"})
    assert [memory.recall(topic, read, 2.0) for topic in ("a", "b")] == [3, 2]


def test_what_was_changed_while_it_was_read_is_read_again(seconds: list[float]):
    memory, read = Memory(), counting()

    def read_while_it_changes() -> int:
        memory.forget({"a"})
        return read()

    assert memory.recall("a", read_while_it_changes, 2.0) == 1
    assert memory.recall("a", read, 2.0) == 2
    assert memory.recall("a", read, 2.0) == 2


def test_an_empty_value_is_a_value(seconds: list[float]):
    memory, reads = Memory(), []
    for _ in range(3):
        assert memory.recall("a", lambda: reads.append(1) or [], 2.0) == []
    assert len(reads) == 1
