"""Keeps the server's picture of watched jobs true: one level-triggered loop per driver, however many jobs.

A driver's news only wakes a loop early. Nothing that goes wrong in here takes an attempt out of the set. What jobs have
printed is read beside the looks: a log that cannot be read holds up no other job.
"""

import asyncio
import logging
from collections import defaultdict
from uuid import UUID

from penstock import clock
from penstock.agent import output
from penstock.agent.endings import Endings
from penstock.agent.ledger import Held, Ledger, Stage
from penstock.agent.output import Console
from penstock.agent.platforms import Platforms
from penstock.agent.supervision import Supervisor
from penstock.infrastructure.base import Driver
from penstock.model.attempts import Observation

_log = logging.getLogger("penstock.agent.reconcile")

#: Seconds between two looks at the jobs of one driver that has no news.
TICK_SECONDS = 1.0
#: Seconds that news is gathered, so that a burst of it costs one look.
GATHER_SECONDS = 0.01
#: Seconds that one look at all jobs of a driver may take.
OBSERVE_SECONDS = 60.0
#: Jobs of one driver whose output is read at once to be shown: few, because looks need a turn among its calls as well.
SHOWN_AT_ONCE = 2


class Reconciler:
    def __init__(
        self, ledger: Ledger, platforms: Platforms, endings: Endings, supervisor: Supervisor, console: Console
    ) -> None:
        self._ledger = ledger
        self._platforms = platforms
        self._endings = endings
        self._sightings = endings.sightings
        self._supervisor = supervisor
        self._console = console
        self._watching: set[Driver] = set()
        self._showing: set[UUID] = set()
        self._shown: defaultdict[Driver, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(SHOWN_AT_ONCE))
        self.ticks = 0

    async def run(self) -> None:
        """Start a loop for every driver that comes into use."""
        while True:
            for held in self._ledger.at(Stage.WATCHED):
                if held.driver is not None and held.driver not in self._watching:
                    self._begin(held.driver)
            await self._ledger.change()

    def _begin(self, driver: Driver) -> None:
        self._watching.add(driver)
        self._supervisor.keep(f"reconcile {driver.type}", lambda: self._watch(driver))

    async def _watch(self, driver: Driver) -> None:
        while self._ledger.watched_by(driver):
            await self.tick(driver)
            await self._pause(driver)
        # `run` begins anew with the next job; there is no await in between
        self._watching.discard(driver)

    async def _pause(self, driver: Driver) -> None:
        """Until the driver has news, a job is new to it, or it is time for the next look."""
        async with asyncio.timeout(TICK_SECONDS * 30):
            news = asyncio.create_task(driver.wait_for_news(TICK_SECONDS))
            try:
                while not news.done() and not any(held.said is None for held in self._ledger.watched_by(driver)):
                    change = asyncio.create_task(self._ledger.change())
                    await asyncio.wait({news, change}, return_when=asyncio.FIRST_COMPLETED)
                    change.cancel()
                if news.done():
                    news.result()
            finally:
                news.cancel()
        await asyncio.sleep(GATHER_SECONDS)

    async def tick(self, driver: Driver) -> None:
        """Look at all jobs of `driver` once, and tell what is new."""
        self.ticks += 1
        watched = [held for held in self._ledger.watched_by(driver) if held.handle is not None]
        try:
            async with asyncio.timeout(OBSERVE_SECONDS):
                seen = await driver.observe([held.handle for held in watched if held.handle is not None])
        except Exception as error:
            # a driver promises not to raise here: whatever it is, it is no verdict on any job
            _log.exception("Jobs of %s cannot be looked at", driver.type)
            seen = [_unseen(error) for _ in watched]
        for held, observation in zip(watched, seen, strict=True):
            if held.stage is Stage.WATCHED:  # else it was ordered to stop, or released, meanwhile
                self._absorb(driver, held, observation)

    def _absorb(self, driver: Driver, held: Held, observation: Observation) -> None:
        if observation.status == "ENDED":
            self._endings.job_is_over(held, observation)
            return
        if held.stream_output and held.id not in self._showing:
            self._showing.add(held.id)
            self._supervisor.spawn(f"output {held.id}", self._show(held, self._shown[driver]))
        self._sightings.tell(held, observation)
        if observation.status == "UNKNOWN" and held.config is not None:
            self._platforms.availability.doubt(held.config.get_block_type_slug(), held.config)

    async def _show(self, held: Held, turns: asyncio.Semaphore) -> None:
        try:
            async with turns:
                if held.stage is Stage.WATCHED:
                    await output.stream(held, self._console)
        finally:
            self._showing.discard(held.id)


def _unseen(error: Exception) -> Observation:
    return Observation(status="UNKNOWN", observed_at=clock.now(), message=str(error) or type(error).__name__)
