"""The attempts that this agent holds. In memory only: the server gives them back to an agent that was restarted."""

import asyncio
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any
from uuid import UUID

from penstock.agent.changes import Changes
from penstock.infrastructure.base import Driver, Handle
from penstock.infrastructure.block import Infrastructure
from penstock.model.attempts import AttemptReport, CancelOrder, Claim, Observation


class Stage(Enum):
    """Where an attempt is in this agent's hands.

    LAUNCHING it is being started or found again · WATCHED there is a handle, its job is observed · STOPPING its job is
    being stopped · ENDED its job is over, or never came to be; the server is being told · LEAVING the server needs no
    more of it; what is left of its job is being cleared away.
    """

    LAUNCHING = "launching"
    WATCHED = "watched"
    STOPPING = "stopping"
    ENDED = "ended"
    LEAVING = "leaving"


@dataclass
class Held:
    """One attempt in this agent's hands.

    `offset` is how far its output was read, `tail` the end of that; while it is `catching_up`, what it reads was shown
    by an agent before. `said` is the observation last reported, `said_at` when (monotonic). `config` is the configuration
    by which its platform is asked. It is `held_up` while its platform does not answer, or prepares what it needs.
    """

    claim: Claim
    stage: Stage = Stage.LAUNCHING
    driver: Driver | None = None
    config: Infrastructure | None = None
    held_up: bool = False
    handle: Handle | None = None
    stream_output: bool = False
    offset: int = 0
    tail: str = ""
    catching_up: bool = False
    #: one reads its output at a time, and goes on where the one before stopped
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)
    said: Observation | None = None
    said_at: float = 0.0
    cancel: CancelOrder | None = None
    #: what was last said of its end; said again until the server agrees
    final: AttemptReport | None = None
    #: set when the launch has come to an end, whichever, and the way to the job is known if there is one
    launched: asyncio.Event = field(default_factory=asyncio.Event)
    #: set when the server has what was last said of its end
    told: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def id(self) -> UUID:
        return self.claim.attempt.id

    @property
    def title(self) -> str:
        """For people: the run's name and the attempt's number."""
        return f"{self.claim.flow_run.name} (attempt {self.claim.attempt.number})"

    @property
    def job(self) -> tuple[Driver, Handle] | None:
        """Its job and who knows it, if it has one."""
        return (self.driver, self.handle) if self.driver is not None and self.handle is not None else None

    @property
    def stopping(self) -> bool:
        return self.stage is Stage.STOPPING

    @property
    def live(self) -> bool:
        """Whether it takes one of this agent's places: a job of it exists, or is about to."""
        return self.stage in (Stage.LAUNCHING, Stage.WATCHED, Stage.STOPPING)


class Ledger:
    """All of them, by attempt id."""

    def __init__(self) -> None:
        self._held: dict[UUID, Held] = {}
        self._changes = Changes()

    def change(self) -> Coroutine[Any, Any, bool]:
        """To be awaited: the next change from now on. One comes, goes, or moves to another stage."""
        return self._changes.next()

    def __iter__(self) -> Iterator[Held]:
        return iter(list(self._held.values()))

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, attempt_id: UUID) -> bool:
        return attempt_id in self._held

    def get(self, attempt_id: UUID) -> Held | None:
        return self._held.get(attempt_id)

    def add(self, held: Held) -> None:
        self._held[held.id] = held
        self._changes.tell()

    def move(self, held: Held, stage: Stage) -> None:
        held.stage = stage
        self._changes.tell()

    def drop(self, held: Held) -> None:
        self._held.pop(held.id, None)
        self._changes.tell()

    def at(self, stage: Stage) -> list[Held]:
        return [held for held in self._held.values() if held.stage is stage]

    def watched_by(self, driver: Driver) -> list[Held]:
        return [held for held in self._held.values() if held.stage is Stage.WATCHED and held.driver is driver]

    @property
    def live(self) -> int:
        return sum(held.live for held in self._held.values())


def capacity(limit: int | None, live: int, launching: int, most_launching: int) -> int:
    """How many new attempts may be asked for: within the agent's limit, and no more than it can start at once."""
    room = most_launching - launching
    if limit is not None:
        room = min(room, limit - live)
    return max(0, room)
