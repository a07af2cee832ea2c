"""Which due runs start now. Pure.

The order is that of their queues' priorities, 1 before 2; among queues of equal priority the run that has been due for
longest comes first, whichever queue it waits in. A run that a limit holds back keeps nobody behind it waiting.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

#: One limit: what kind of thing is limited, and which one, e.g. ("deployment", id) or ("tag", "database").
Key = tuple[str, Any]


@dataclass(frozen=True)
class Due:
    """A run that is due, the place of its queue in its pool, and the limits that it counts against."""

    id: UUID
    priority: int
    at: datetime
    limits: tuple[Key, ...] = ()

    @property
    def rank(self) -> tuple[int, datetime, UUID]:
        """What comes first has the lowest."""
        return (self.priority, self.at, self.id)


def choose(due: Iterable[Due], free: Mapping[Key, int], room: int) -> list[Due]:
    """At most `room` of `due` in their order, so that no limit gives more slots than are `free`.

    A limit that `free` does not name holds nobody back.
    """
    left = dict(free)
    chosen: list[Due] = []
    for run in sorted(due, key=lambda one: one.rank):
        if len(chosen) >= room:
            break
        if all(left.get(key, 1) > 0 for key in run.limits):
            take(run, left)
            chosen.append(run)
    return chosen


def take(run: Due, free: dict[Key, int]) -> None:
    """Let `run` take a slot of each of its limits."""
    for key in run.limits:
        if key in free:
            free[key] -= 1
