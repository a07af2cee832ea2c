"""The long poll: asks for runs and orders, renews the leases, and never stops doing so while the agent lives."""

import asyncio
import logging
import socket
from dataclasses import dataclass
from uuid import UUID, uuid4

from penstock import clock
from penstock.agent.backoff import FAILURE_CAP, REFUSED_CAP, Backoff
from penstock.agent.cancel import Cancels
from penstock.agent.endings import Endings
from penstock.agent.identity import Identity
from penstock.agent.launch import Launches
from penstock.agent.ledger import Ledger, Stage, capacity
from penstock.agent.options import Options
from penstock.agent.platforms import Platforms
from penstock.client import attempts as calls
from penstock.client.asynchronous import AsyncClient
from penstock.client.transport import Refusal
from penstock.errors import APIError, Unreachable
from penstock.model.attempts import AgentOrders, AgentPoll
from penstock.version import __version__

_log = logging.getLogger("penstock.agent")

#: Most attempts that are launched at the same time.
MOST_LAUNCHING = 32
#: Most attempts that wait for their platform: until it answers, or has fetched an image.
MOST_HELD_UP = 100
#: Seconds that the server may hold an answer back, unless leases are so short that it has to be less.
WAIT_SECONDS = 5.0
#: Seconds from one poll that brought no run to the next, however quick its answer was.
SHORTEST_ROUND = 0.1
#: Seconds that a poll may take beyond that.
ANSWER_SECONDS = 20.0
#: Seconds between two complaints about a server that does not answer.
COMPLAIN_SECONDS = 60.0


@dataclass(frozen=True)
class Orders:
    """Who carries out what a poll brings."""

    launches: Launches
    cancels: Cancels
    endings: Endings


class Claims:
    def __init__(
        self,
        options: Options,
        identity: Identity,
        client: AsyncClient,
        ledger: Ledger,
        platforms: Platforms,
        orders: Orders,
    ) -> None:
        self._options, self._identity, self._client = options, identity, client
        self._ledger, self._platforms, self._orders = ledger, platforms, orders
        self._host = socket.gethostname()
        self._paused: set[str] = set()
        self._complained_at = float("-inf")
        self._stopping = asyncio.Event()
        self._lease_seconds = 15.0
        self._late: set[asyncio.Task[AgentOrders]] = set()
        #: set by the first answer
        self.answered = asyncio.Event()
        #: set when a run-once agent was given nothing more
        self.drained_queue = asyncio.Event()
        self.answered_at = float("-inf")
        self.failures = 0
        self.claimed = 0
        self._round_at = clock.monotonic()

    @property
    def age(self) -> float:
        """Seconds since the last round of the loop began."""
        return clock.monotonic() - self._round_at

    async def run(self) -> None:
        """Poll until `stop`."""
        backoff = Backoff()
        request_id = uuid4()
        while not self._stopping.is_set():
            self._round_at = clock.monotonic()
            try:
                await self._poll(request_id)
            except APIError as error:
                # the same question again: if only the answer was lost, it brings the same claims
                self.failures += 1
                delay = backoff.next(REFUSED_CAP if _is_refused(error) else FAILURE_CAP)
                self._complain(error)
                await _sleep_unless(self._stopping, delay)
            else:
                if backoff.failures:
                    _log.info("The server answers again")
                    self._complained_at = float("-inf")
                backoff.reset()
                request_id = uuid4()

    def stop(self) -> None:
        """Take nothing more."""
        self._stopping.set()
        for asked in self._late:
            asked.cancel()

    async def say_goodbye(self, *, hand_over: bool) -> None:
        """Tell the server that this agent takes nothing more; with `hand_over`, that others may have its attempts."""
        goodbye = self._question(uuid4(), room=0, wait=0.0)
        if hand_over:
            goodbye = goodbye.model_copy(update={"attempts": []})
        try:
            async with asyncio.timeout(ANSWER_SECONDS / 4):
                await self._client.send(calls.poll(goodbye))
        except (APIError, TimeoutError) as error:
            _log.info("The server was not told that this agent leaves: %s", error or "no answer in time")

    async def renew(self) -> None:
        """Keep the leases and follow orders, but take nothing: while a leaving agent waits for its attempts."""
        while True:
            self._round_at = clock.monotonic()
            try:
                wait = min(WAIT_SECONDS, self._lease_seconds / 3)
                self._obey(await self._ask(self._question(uuid4(), room=0, wait=wait)))
            except APIError as error:
                self._complain(error)
                await asyncio.sleep(1.0)

    def room(self) -> int:
        """How many new attempts can be taken now."""
        if self._stopping.is_set() or self.drained_queue.is_set():
            return 0
        launching = len(self._ledger.at(Stage.LAUNCHING))
        held_up = sum(held.held_up for held in self._ledger.at(Stage.LAUNCHING))
        # what a platform holds up takes no place of what can be started, but there is an end to that too
        room = capacity(self._options.limit, self._ledger.live, launching - held_up, MOST_LAUNCHING)
        return max(0, min(room, MOST_HELD_UP - held_up))

    async def _poll(self, request_id: UUID) -> None:
        room = self.room()
        # the first answer says that the agent works: nobody should have to wait for it
        at_once = not self.answered.is_set() or (self._options.run_once and room)
        wait = 0.0 if at_once else min(WAIT_SECONDS, self._lease_seconds / 3)
        asked_at = clock.monotonic()
        asked = asyncio.create_task(self._ask(self._question(request_id, room, wait)))
        try:
            if await self._overtaken(asked, room, self._platforms.capabilities()):
                return
            orders = await asked
        except asyncio.CancelledError:
            asked.cancel()
            raise
        self._obey(orders)
        if wait and not orders.claims and clock.monotonic() - asked_at < SHORTEST_ROUND:
            await _sleep_unless(self._stopping, SHORTEST_ROUND)
        if self._options.run_once and room and len(orders.claims) < room:
            self.drained_queue.set()

    async def _ask(self, question: AgentPoll) -> AgentOrders:
        try:
            async with asyncio.timeout(question.wait_seconds + ANSWER_SECONDS):
                return await self._client.send(calls.poll(question))
        except TimeoutError:
            raise Unreachable("The server did not answer a poll in time.") from None

    async def _overtaken(self, asked: asyncio.Task[AgentOrders], room: int, offered: list[str]) -> bool:
        """Wait for the answer; True if the question is out of date: a place became free meanwhile that a poll without room
        knows nothing of, or the types that can be run are others.

        That poll's answer is still obeyed when it comes: orders may be in it.
        """
        while not asked.done():
            gained_room = room == 0 and self.room() > 0
            if (gained_room or self._platforms.capabilities() != offered) and not self._late:
                self._late.add(asked)
                asked.add_done_callback(self._obey_late)
                return True
            changes = [
                asyncio.create_task(self._ledger.change()),
                asyncio.create_task(self._platforms.availability.change()),
            ]
            await asyncio.wait({asked, *changes}, return_when=asyncio.FIRST_COMPLETED)
            for change in changes:
                change.cancel()
        return False

    def _obey_late(self, asked: asyncio.Task[AgentOrders]) -> None:
        self._late.discard(asked)
        if not asked.cancelled() and asked.exception() is None:
            self._obey(asked.result())

    def _question(self, request_id: UUID, room: int, wait: float) -> AgentPoll:
        options = self._options
        # What is leaving is over for the server: to list it would only make every poll return at once.
        held = [one for one in self._ledger if one.stage is not Stage.LEAVING]
        return AgentPoll(
            agent_id=self._identity.id,
            request_id=request_id,
            name=options.name,
            host=self._host,
            version=__version__,
            work_pool=options.pools[0] if options.pools else None,
            work_pools=list(options.pools),
            work_queues=list(options.work_queues),
            work_queue_prefixes=list(options.prefixes),
            capacity=room,
            limit=options.limit,
            ramp_up=options.ramp_up,
            prefetch_seconds=options.prefetch_seconds,
            wait_seconds=wait,
            reaches=self._platforms.reaches(),
            capabilities=self._platforms.capabilities(),
            away={slug: away.why for slug, away in self._platforms.availability.away().items()},
            draining=self._stopping.is_set(),
            attempts=[one.id for one in held],
            cancelling=[one.id for one in held if one.cancel is not None],
        )

    def _obey(self, orders: AgentOrders) -> None:
        self._lease_seconds = orders.lease_seconds
        self.answered_at = clock.monotonic()
        for claim in orders.claims:
            if claim.attempt.id not in self._ledger:
                self.claimed += 1
                self._orders.launches.take(claim)
        for order in orders.cancel:
            self._orders.cancels.follow(order)
        for attempt_id in orders.release:
            self._orders.endings.release(attempt_id)
        for slug in orders.adrift:
            self._platforms.look_around(slug)
        self._tell_paused(set(orders.paused))
        self.answered.set()

    def _tell_paused(self, paused: set[str]) -> None:
        for name in sorted(paused - self._paused):
            _log.warning("Queue %s is paused: no run is taken from it", name)
        for name in sorted(self._paused - paused):
            _log.info("Queue %s is no longer paused", name)
        self._paused = paused

    def _complain(self, error: APIError) -> None:
        now = clock.monotonic()
        if now - self._complained_at >= COMPLAIN_SECONDS:
            self._complained_at = now
            _log.warning("The server gives no usable answer; it is asked until it does. %s", error)


def _is_refused(error: APIError) -> bool:
    """Whether nobody listens at the API's address."""
    return isinstance(error, Refusal)


async def _sleep_unless(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
