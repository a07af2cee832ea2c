"""Nothing left behind: jobs with our label that no open attempt answers for are stopped and removed, in time."""

import asyncio
import logging
from datetime import timedelta
from enum import Enum
from uuid import UUID

from penstock import clock
from penstock.agent.ledger import Ledger
from penstock.agent.platforms import Platforms
from penstock.client import attempts as calls
from penstock.client.asynchronous import AsyncClient
from penstock.errors import APIError, NotFound
from penstock.infrastructure.base import Driver, Found
from penstock.model.attempts import Attempt, AttemptStatus
from penstock.model.reasons import Reason

_log = logging.getLogger("penstock.agent.sweep")

FIRST_SWEEP_SECONDS = 5.0
SWEEP_SECONDS = 60.0
#: Seconds to the next sweep while a job runs whose safety age is not over.
SOON_SECONDS = 5.0
#: A sweep that takes long is made seldom: this many times its own length lies between two.
SWEEP_SHARE = 50.0
FIND_SECONDS = 120.0
STOP_SECONDS = 180.0
#: How long a running job is left alone whose attempt is over: whoever held it may be about to stop it politely.
SAFETY_SECONDS = 15.0
#: How long a job is left alone whose attempt the server does not know at all.
UNKNOWN_SECONDS = 300.0
#: How long what is left of a job stays for people to look at.
KEEP_SECONDS = 24 * 3600.0


class Fate(Enum):
    LEAVE = "leave"
    REMOVE = "remove"
    STOP = "stop"


def judge(found: Found, attempt: Attempt | None, seconds_over: float) -> Fate:
    """What becomes of a job that this agent does not hold.

    `attempt` is the server's, None if it has none of that id; `seconds_over` is how long that has been so: since the
    attempt ended, or since the server was first asked in vain.
    """
    if attempt is not None and attempt.status is not AttemptStatus.ENDED:
        return Fate.LEAVE  # somebody answers for it, or it is about to be offered
    if not found.ended:
        patience = UNKNOWN_SECONDS if attempt is None else SAFETY_SECONDS + attempt.limits.grace
        return Fate.STOP if seconds_over >= patience else Fate.LEAVE
    stays = found.keep
    if stays is None:
        stays = attempt is None or _ended_badly(attempt)
    soon = UNKNOWN_SECONDS if attempt is None else SAFETY_SECONDS
    return Fate.REMOVE if seconds_over >= (KEEP_SECONDS if stays else soon) else Fate.LEAVE


def _ended_badly(attempt: Attempt) -> bool:
    """Where nobody saw how the job ended, the flow has told it all the same if it ended well."""
    if attempt.reason is Reason.CANCELLED:
        return False
    return attempt.reason is not None if attempt.exit is None else attempt.exit.code != 0


class Sweep:
    def __init__(self, client: AsyncClient, ledger: Ledger, platforms: Platforms) -> None:
        self._client = client
        self._ledger = ledger
        self._platforms = platforms
        #: attempts that are over, with the server's last word and since when: asked for once only
        self._over: dict[UUID, tuple[Attempt | None, float]] = {}
        #: running jobs of the last sweep whose attempt is over, left alone for now
        self._suspects = 0
        self.orphans_stopped = 0
        self.removed = 0

    async def run(self) -> None:
        await asyncio.sleep(FIRST_SWEEP_SECONDS)
        while True:
            began, self._suspects = clock.monotonic(), 0
            for driver in self._platforms.drivers():
                await self.sweep(driver)
            pause = SOON_SECONDS if self._suspects else SWEEP_SECONDS
            await asyncio.sleep(max(pause, SWEEP_SHARE * (clock.monotonic() - began)))

    async def sweep(self, driver: Driver) -> None:
        """Look at every job of ours on the driver's platform, once."""
        try:
            async with asyncio.timeout(FIND_SECONDS):
                all_found = await driver.find(self._platforms.owner)
        except Exception as error:
            _log.warning("Jobs of %s cannot be listed: %s", driver.type, error or type(error).__name__)
            return
        present = {found.attempt_id for found in all_found}
        self._over = {key: value for key, value in self._over.items() if key in present}
        for found in all_found:
            if found.attempt_id is not None and found.attempt_id not in self._ledger:
                try:
                    await self._visit(driver, found, found.attempt_id)
                except APIError as error:
                    _log.info("The sweep goes on later: %s", error)
                    return
                except Exception as error:
                    _log.warning("Job %s is left for the next sweep: %s", found.job_name, error or type(error).__name__)

    async def _visit(self, driver: Driver, found: Found, attempt_id: UUID) -> None:
        attempt, seconds_over = await self._word_on(attempt_id)
        fate = judge(found, attempt, seconds_over)
        if fate is Fate.LEAVE or attempt_id in self._ledger:
            self._suspects += not found.ended and attempt_id in self._over
            return
        async with asyncio.timeout(STOP_SECONDS):
            if fate is Fate.STOP:
                _log.warning("Job %s runs, and its attempt is over: it is stopped", found.job_name)
                await driver.stop(found.handle, 10.0)
                self.orphans_stopped += 1
                if found.keep:
                    return
            await driver.remove(found.handle)
            self.removed += 1

    async def _word_on(self, attempt_id: UUID) -> tuple[Attempt | None, float]:
        """The server's word on the attempt, and for how many seconds it has been over."""
        if attempt_id not in self._over:
            try:
                attempt: Attempt | None = await self._client.send(calls.read_attempt(attempt_id))
            except NotFound:
                attempt = None
            if attempt is not None and attempt.status is not AttemptStatus.ENDED:
                return attempt, 0.0
            ended = attempt.ended_at if attempt is not None else None
            age = (clock.now() - ended) if ended is not None else timedelta()
            self._over[attempt_id] = (attempt, clock.monotonic() - age.total_seconds())
        attempt, since = self._over[attempt_id]
        return attempt, clock.monotonic() - since
