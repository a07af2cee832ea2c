"""Who gets slots of limits. Pure.

First come, first served, limit by limit: a wish that waits for one limit keeps nobody from another. A wish for several
limits is granted when all of them have room at once, so that no two holders ever wait for each other.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

#: So much may floating point be wrong about slots that have decayed.
EPSILON = 1e-6
#: Bounds in seconds of the wait after which a client that does not wait in line is told to ask again.
SHORTEST_WAIT, LONGEST_WAIT = 0.5, 30.0


@dataclass(frozen=True)
class Wish:
    """`slots` of each of `limits`, all or none. One that is not `present` only keeps its place for a moment."""

    holder: UUID
    limits: Sequence[UUID]
    slots: int = 1
    present: bool = True


@dataclass(frozen=True)
class Room:
    """A limit, and how much of it is taken."""

    limit: int
    taken: float = 0.0

    @property
    def free(self) -> float:
        return max(0.0, self.limit - self.taken)


def choose(line: Iterable[Wish], rooms: Mapping[UUID, Room]) -> list[Wish]:
    """Those of `line`, the first come first, that get their slots now. A limit that has no room entry holds nobody up."""
    free = {key: room.free for key, room in rooms.items()}
    chosen = []
    for wish in line:
        wanted = [key for key in wish.limits if key in free]
        lacking = [key for key in wanted if free[key] + EPSILON < wish.slots]
        if lacking:
            for key in lacking:
                free[key] = 0.0  # what is left of it is kept for this one
            continue
        for key in wanted:
            free[key] -= wish.slots
        if wish.present:
            chosen.append(wish)
    return chosen


def decayed(slots: float, since: datetime, per_second: float, now: datetime) -> float:
    """What is left at `now` of `slots` that were taken at `since` and come free at a rate."""
    if per_second <= 0:
        return slots
    return max(0.0, slots - per_second * max(0.0, (now - since).total_seconds()))


def seconds_until_free(room: Room, slots: int, decaying: float, per_second: float) -> float | None:
    """Seconds until decay alone makes room for `slots`; None if it never does. `decaying`: how much of what is taken decays."""
    missing = slots - room.free
    if missing <= EPSILON:
        return 0.0
    missing = room.taken + slots - room.limit
    if per_second <= 0 or missing > decaying + EPSILON:
        return None
    return missing / per_second


def ask_again_after(until_free: float | None, occupancy: float, limit: int) -> float:
    """Seconds after which a client that is told to come back may hope for slots. `occupancy`: for how long they are
    usually held."""
    guess = until_free if until_free is not None else occupancy / max(1, limit)
    if not math.isfinite(guess):
        return LONGEST_WAIT
    return min(max(guess, SHORTEST_WAIT), LONGEST_WAIT)


def average_occupancy(average: float, seconds: float, limit: int) -> float:
    """The moving average of how long slots are held, after one more was held for `seconds`."""
    weight = max(1, limit) * 2
    return average + (seconds - average) / weight
