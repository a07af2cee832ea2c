"""Slots of tag limits: a task run with a limited tag runs only while it holds one of each.

The server frees them in the transaction that records that the task run has left Running, or that its flow run is over.
"""

import threading
from collections.abc import Set
from datetime import datetime
from typing import Protocol
from uuid import UUID

from penstock.client import concurrency_limits
from penstock.clock import monotonic
from penstock.engine import outcomes, wire
from penstock.engine.context import FlowRunContext
from penstock.engine.interruption import CancelRequested, Superseded
from penstock.engine.moments import moment
from penstock.engine.session import Session
from penstock.engine.slot_desk import Desk, acquire
from penstock.engine.steps import Blocking, Steps
from penstock.errors import APIError
from penstock.model.reasons import Reason
from penstock.model.states import State, StateType
from penstock.model.transitions import AWAITING_SLOT

#: Seconds for which it is taken as known which tags are limited.
KNOWN_FOR = 10.0
#: Seconds that a look at the limited tags may take while an older answer is at hand.
LOOK_SECONDS = 5.0


class Record(Protocol):
    """What is needed of a task run. See `penstock.engine.task_runs.TaskRun`."""

    id: UUID
    run_count: int

    def enter(self, kind: StateType, *, name: str, message: str, details: wire.JSON) -> datetime: ...

    def finish(self, state: State) -> None: ...


class SessionSlots:
    """What one session knows of limited tags, and where it waits for slots."""

    def __init__(self, session: Session) -> None:
        self.desk = Desk(
            session.client,
            session.ask,
            flow_run_id=session.flow_run_id,
            leased=not session.deployed,
            renews=not session.owns_run,
        )
        self.limited: Set[str] | None = None
        self.look_at = 0.0
        #: task runs that hold slots
        self.holders: set[UUID] = set()
        self._session = session
        self._looking = threading.Lock()

    def look(self) -> None:
        """Ask the server which tags are limited. Who finds that out already is waited for only the first time."""
        known = self.limited is not None
        if known:
            self.look_at = monotonic() + KNOWN_FOR
        with self._looking:
            if known or self.limited is None:
                self.limited = frozenset(self._read())
                self.look_at = monotonic() + KNOWN_FOR

    def _read(self) -> Set[str] | list[str]:
        call = concurrency_limits.read_limited_tags()
        if self.limited is None:
            return self._session.ask(call)
        try:
            return self._session.client.send(call, deadline=monotonic() + LOOK_SECONDS)
        except APIError:
            return self.limited  # the API is away: what was known holds on


def slots_of(session: Session) -> SessionSlots:
    found = session.slots
    if found is None:
        found = session.slots = SessionSlots(session)
    assert isinstance(found, SessionSlots)
    return found


def take(tags: frozenset[str], record: Record, run: FlowRunContext) -> Steps[None]:
    """Wait until the task run holds a slot of every limited tag of `tags`.

    Raises what stops the whole run; the task run is Cancelled then.
    """
    known = slots_of(run.session)
    if known.limited is None or known.look_at < monotonic():
        yield Blocking(known.look)
    assert known.limited is not None
    limited = tags & known.limited
    if limited:
        yield from _take(sorted(limited), record, run)


def ended(record: Record, run: FlowRunContext) -> None:
    """The task run has ended: what others wait for is reported without delay."""
    mine = slots_of(run.session)
    if record.id not in mine.holders:
        return
    mine.holders.discard(record.id)
    if run.session.owns_run:
        run.session.reporter.hurry()
    else:
        mine.desk.give_back(record.id)


def _take(tags: list[str], record: Record, run: FlowRunContext) -> Steps[None]:
    session = run.session
    if record.run_count:
        # The end of the try before frees its slot: that must not come after the slot of the next try was granted.
        yield Blocking(session.reporter.flush)
    mine = slots_of(session)
    wish = mine.desk.wish(record.id, tags=tags)
    named = " and ".join(repr(tag) for tag in tags)

    def check() -> None:
        session.check()
        if run.stopping is not None:
            raise CancelRequested(run.stopping)

    def on_wait() -> None:
        details = wire.scheduled_details(moment())
        record.enter(
            StateType.SCHEDULED, name=AWAITING_SLOT, message=f"Waits for a slot of the tag {named}", details=details
        )

    try:
        mine.desk.hold(wish, (yield from acquire(mine.desk, wish, check=check, on_wait=on_wait)))
        mine.holders.add(record.id)
    except (GeneratorExit, Superseded):
        raise
    except Exception as error:
        record.finish(outcomes.crashed(f"No slot of the tag {named} could be had: {error}", Reason.UNKNOWN))
        raise
    except BaseException:
        record.finish(outcomes.cancelled(f"Not run: stopped while it waited for a slot of the tag {named}"))
        raise
