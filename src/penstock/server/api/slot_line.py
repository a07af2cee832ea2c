"""Those who wait for slots, in the order in which they came."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from uuid import UUID

from penstock import clock, settings
from penstock.model.concurrency_limits import SlotAnswer, SlotDenial, SlotMode, SlotRequest, SlotWish
from penstock.server.database.connection import Database
from penstock.server.database.slots import TOPIC
from penstock.server.operations.grant_slots import Grants, Terms, grant_slots
from penstock.server.operations.release_slots import release_slots

_log = logging.getLogger("penstock.server.slots")

#: Seconds for which the place of somebody whose request has ended is kept.
GRACE = 3.0
#: Seconds for which somebody who got slots for a rate and asks again is known.
REMEMBERED = 60.0
#: Seconds between two looks, where other servers may free slots in the same database.
LOOK_AGAIN = 1.0
#: Seconds between two looks at whether whoever asked is still there.
LOOK_AFTER_CLIENT = 1.0


@dataclass(eq=False)
class _Visit:
    """One request while it is being answered."""

    lease: float
    news: asyncio.Event = field(default_factory=asyncio.Event)
    looked: asyncio.Event = field(default_factory=asyncio.Event)
    granted: list[UUID] = field(default_factory=list)
    denied: dict[UUID, str] = field(default_factory=dict)
    unknown_names: set[str] = field(default_factory=set)
    error: Exception | None = None

    def wake(self) -> None:
        self.news.set()
        self.looked.set()

    def answer(self) -> SlotAnswer:
        denied = [SlotDenial(holder_id=holder, message=message) for holder, message in self.denied.items()]
        return SlotAnswer(
            granted=self.granted,
            denied=denied,
            unknown_names=sorted(self.unknown_names),
            lease_seconds=self.lease,
        )


@dataclass(eq=False)
class _Place:
    wish: SlotWish
    visit: _Visit | None
    left_at: float = 0.0


class SlotLine:
    """The line of one server. Lives in its event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._places: dict[UUID, _Place] = {}
        #: holders that got slots for a rate, and when: no row tells that, and they may ask again
        self._rated: dict[UUID, float] = {}
        self._serving: asyncio.Task[None] | None = None

    async def ask(self, request: SlotRequest, is_gone: Callable[[], Awaitable[bool]]) -> SlotAnswer:
        """The answer to `request`: as soon as one of its wishes is decided, or when its time is up."""
        visit = _Visit(lease_seconds())
        self._stand(visit, request.wishes)
        try:
            await visit.looked.wait()
            deadline = clock.monotonic() + request.wait_seconds
            while not visit.news.is_set() and (left := deadline - clock.monotonic()) > 0:
                await _wait(visit.news, min(left, LOOK_AFTER_CLIENT))
                if self._database.hub.closing or await is_gone():
                    break
        finally:
            self._leave(visit, request.wishes)
        if visit.error is not None:
            raise visit.error
        return visit.answer()

    def forget(self, holders: Iterable[UUID]) -> None:
        """These wait no longer."""
        for holder in holders:
            place = self._places.pop(holder, None)
            if place is not None and place.visit is not None:
                place.visit.wake()

    def _stand(self, visit: _Visit, wishes: Iterable[SlotWish]) -> None:
        for wish in wishes:
            place = self._places.get(wish.holder_id)
            if wish.holder_id in self._rated:
                visit.granted.append(wish.holder_id)
                visit.wake()
            elif place is None:
                self._places[wish.holder_id] = _Place(wish, visit)
            else:
                if place.visit is not None:
                    place.visit.wake()  # the same holder asks anew: nobody waits for the older request any more
                place.wish, place.visit = wish, visit
        if self._serving is None or self._serving.done():
            self._serving = asyncio.create_task(self._serve(), name="slot-line")
        else:
            self._database.hub.publish({TOPIC})

    def _leave(self, visit: _Visit, wishes: Iterable[SlotWish]) -> None:
        for wish in wishes:
            place = self._places.get(wish.holder_id)
            if place is not None and place.visit is visit:
                place.visit, place.left_at = None, clock.monotonic()

    async def _serve(self) -> None:
        """Look at the line whenever something changed, until it is empty."""
        with self._database.hub.subscribe([TOPIC]) as subscription:
            while self._places:
                pause = await self._look()
                if self._places:
                    await subscription.wait(pause)
                if self._database.hub.closing:
                    break
        for place in self._places.values():
            if place.visit is not None:
                place.visit.wake()
        self._places.clear()

    async def _look(self) -> float:
        """Grant what can be granted. Returns the seconds after which to look again by oneself."""
        now = clock.monotonic()
        for holder in [h for h, p in self._places.items() if p.visit is None and now - p.left_at > GRACE]:
            del self._places[holder]
        for holder in [h for h, since in self._rated.items() if now - since > REMEMBERED]:
            del self._rated[holder]
        line = [(place.wish, place.visit is not None) for place in self._places.values()]
        visits = {place.visit for place in self._places.values() if place.visit is not None}
        if not visits:
            return GRACE / 2
        lease = lease_seconds()
        terms = Terms(lease, judge_leases=now - self._database.opened >= lease)
        try:
            grants = await self._database.write(grant_slots, line, terms)
        except Exception as error:
            for visit in visits:
                visit.error = error
                visit.wake()
            return LOOK_AGAIN
        await self._tell(grants, visits)
        pauses = [] if self._database.is_sqlite else [LOOK_AGAIN]
        pauses += [GRACE / 2] if any(place.visit is None for place in self._places.values()) else []
        pauses += [grants.look_again] if grants.look_again is not None else []
        return max(0.001, min(pauses, default=60.0))

    async def _tell(self, grants: Grants, visits: set[_Visit]) -> None:
        orphans = []
        for holder in grants.granted:
            place = self._places.pop(holder, None)
            if place is not None and place.wish.mode is SlotMode.RATE_LIMIT:
                self._rated[holder] = clock.monotonic()
            if place is None:
                orphans.append(holder)  # it was given back while it was being granted
            elif place.visit is not None:
                place.visit.granted.append(holder)
                place.visit.news.set()
        for holder, message in grants.denied.items():
            place = self._places.pop(holder, None)
            if place is not None and place.visit is not None:
                place.visit.denied[holder] = message
                place.visit.news.set()
        for place in self._places.values():
            if place.visit is not None:
                place.visit.unknown_names |= grants.unknown_names.intersection(place.wish.names)
        for visit in visits:
            visit.unknown_names |= grants.unknown_names
            visit.looked.set()
        if orphans:
            await self._database.write(release_slots, orphans)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return


def lease_seconds() -> float:
    return float(settings.get("PENSTOCK_CONCURRENCY_LEASE_SECONDS"))
