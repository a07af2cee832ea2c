"""Jobs that somebody has started, or may have: the way to them is found again before anything is said of them.

What is open here is never given up: as long as the server leaves the attempt to this agent, it is looked for.
"""

import asyncio
import logging

from penstock import clock
from penstock.agent.backoff import Backoff
from penstock.agent.ledger import Held, Ledger, Stage
from penstock.agent.platforms import Platforms
from penstock.agent.sightings import MISSING_SECONDS, Sightings
from penstock.infrastructure.base import Driver, Handle
from penstock.model.attempts import AttemptStatus, Observation

_log = logging.getLogger("penstock.agent")

#: Seconds that a platform may take to say whether it has a job, before it is asked again.
FIND_SECONDS = 60.0


class Takeovers:
    def __init__(self, ledger: Ledger, platforms: Platforms, sightings: Sightings) -> None:
        self._ledger = ledger
        self._platforms = platforms
        self._sightings = sightings

    async def watch_again(self, held: Held, handle: Handle) -> None:
        """Watch the job of `handle`, as soon as its platform has answered."""
        held.handle, held.catching_up = handle, True
        held.stream_output = bool((held.claim.attempt.configuration or {}).get("stream_output"))
        self._ledger.move(held, Stage.WATCHED)
        try:
            if await self.find_way(held) is not None:
                _log.info("%s is watched again", held.title)
        finally:
            held.launched.set()

    async def find_way(self, held: Held) -> Driver | None:
        """The driver of the attempt's job, once it knows the way there. Asks until then, or until nobody wants to know:
        then None."""
        backoff = Backoff(first=0.5)
        while self._is_wanted(held):
            try:
                held.driver, held.config = await self._platforms.way_to(held.claim)
            except Exception as error:
                self._sightings.unseen(held, str(error) or type(error).__name__)
                await self._platforms.availability.back(backoff.next())
                continue
            held.said, held.held_up = None, False
            self._ledger.move(held, held.stage)
            return held.driver
        return None

    async def find(self, held: Held, driver: Driver, job_name: str) -> Handle | None:
        """The attempt's job if the platform has it. Asks until the platform answers, or nobody wants to know."""
        backoff = Backoff(first=0.5)
        while self._is_wanted(held):
            try:
                async with asyncio.timeout(FIND_SECONDS):
                    found = await driver.find_job(job_name)
            except Exception as error:
                self._sightings.unseen(held, str(error) or type(error).__name__)
                if held.config is not None:
                    self._platforms.availability.doubt(driver.type, held.config)
                await self._platforms.availability.back(backoff.next())
                continue
            held.held_up = False
            return found
        return None

    async def find_intended(self, held: Held) -> tuple[Handle | None, Observation | None]:
        """The job that was meant to be started for the attempt, by this agent in an earlier life or by another one.

        With an observation instead: its flow's process has reported in, and the job is not there any more.
        """
        driver = await self.find_way(held)
        job_name = held.claim.attempt.job_name
        if driver is None or job_name is None:
            return None, None
        found = await self.find(held, driver, job_name)
        if found is None and held.claim.attempt.status is not AttemptStatus.LAUNCHING:
            await asyncio.sleep(MISSING_SECONDS)  # that it is gone has to be seen twice
            found = await self.find(held, driver, job_name)
            if found is None:
                message = f"There is no job {job_name!r} any more."
                return None, Observation(status="MISSING", observed_at=clock.now(), message=message)
        return found, None

    def _is_wanted(self, held: Held) -> bool:
        """Whether somebody waits for the answer: who has let go of the attempt still has its job to clear away."""
        return self._ledger.get(held.id) is held
