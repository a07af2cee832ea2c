"""One attempt from claim to handle: render → intent → start → report of the handle; or its job found again.

The intent and the start are the only two round trips on the way; the handle is reported afterwards, in a batch. What
waits for its platform waits here: as long as it is wanted, and nothing else waits for it.
"""

import asyncio
import logging

from penstock import clock
from penstock.agent import failures
from penstock.agent.backoff import REFUSED_CAP, Backoff
from penstock.agent.endings import Endings
from penstock.agent.identity import Identity
from penstock.agent.ledger import Held, Ledger, Stage
from penstock.agent.platforms import Plan, Platforms
from penstock.agent.supervision import Supervisor
from penstock.agent.takeover import Takeovers
from penstock.client import attempts as calls
from penstock.client.asynchronous import AsyncClient
from penstock.errors import (
    APIError,
    Conflict,
    NotAuthorized,
    NotFound,
    NotReachable,
    Refused,
    StillPreparing,
    Unreachable,
)
from penstock.infrastructure.base import Driver, Handle
from penstock.model.attempts import AttemptReport, AttemptStatus, Claim, Intent

_log = logging.getLogger("penstock.agent")

#: Seconds that a platform may take to accept a job, before it is asked whether it has.
START_SECONDS = 180.0
#: Seconds from one question to the next whether a platform has prepared what a job needs: the first, and the longest.
PREPARING_SECONDS, PREPARING_CAP = 0.5, 2.0
#: Seconds in which a launch that waits notices that it is not wanted any more.
NOTICE_SECONDS = 0.5
#: Seconds for which a run that was taken waits for a platform that does not answer, before it is given back.
HAND_BACK_SECONDS = 10.0
#: Launches that may end with the agent's own death before an attempt is given up.
MOST_DEATHS = 3
#: Tries of a start that ends with an exception that no driver should raise.
UNEXPECTED_TRIES = 3


class NotOurs(Exception):
    """The server did not let us: the attempt is over, cancelled, or somebody else's."""


class Launches:
    def __init__(
        self,
        identity: Identity,
        client: AsyncClient,
        ledger: Ledger,
        platforms: Platforms,
        endings: Endings,
        supervisor: Supervisor,
    ) -> None:
        self._identity = identity
        self._client = client
        self._ledger = ledger
        self._platforms = platforms
        self._endings = endings
        self._sightings = endings.sightings
        self._supervisor = supervisor
        self._takeovers = Takeovers(ledger, platforms, endings.sightings)
        self.launched = 0

    def take(self, claim: Claim) -> None:
        """Make `claim` this agent's business. One that it already holds is left alone."""
        if claim.attempt.id not in self._ledger:
            held = Held(claim)
            self._ledger.add(held)
            if claim.attempt.handle is not None:
                work = self._takeovers.watch_again(held, Handle.from_json(claim.attempt.handle))
            else:
                work = self._bring_up(held)
            self._supervisor.spawn(f"launch {held.id}", work)

    async def _bring_up(self, held: Held) -> None:
        """Whatever happens in here ends this attempt at most, and is told."""
        try:
            await self._launch(held)
        except NotOurs as error:
            _log.info("%s is not launched: %s", held.title, error)
            if held.stage is Stage.LAUNCHING:
                self._ledger.drop(held)
        except Exception as error:
            _log.exception("%s could not be launched", held.title)
            self._endings.could_not_launch(held, failures.from_start(error))
        finally:
            self._identity.launch_ends(held.id)
            held.launched.set()

    async def _launch(self, held: Held) -> None:
        deaths = self._identity.launches(held.id)
        self._identity.launch_begins(held.id)
        intended = held.claim.attempt.status is not AttemptStatus.CLAIMED
        if deaths >= MOST_DEATHS and not intended:
            self._endings.could_not_launch(held, failures.poisonous(deaths))
            return
        if intended and await self._is_there(held):
            return
        if held.cancel is not None:
            self._endings.nothing_to_stop(held)
            return
        plan = await self._plan(held)
        if plan is not None:
            held.driver, held.config, held.stream_output = plan.driver, plan.acting, plan.stream_output
            await self._write_intent(held, plan)
            handle = await self._start(held, plan)
            if handle is not None:
                self._started(held, plan.driver, plan.reach, handle)

    async def _is_there(self, held: Held) -> bool:
        """Whether the job that somebody meant to start for the attempt exists, or did: what is known of it is told."""
        attempt = held.claim.attempt
        found, gone = await self._takeovers.find_intended(held)
        if gone is not None:
            self._endings.job_is_over(held, gone)
            return True
        if found is None or held.driver is None:
            return False
        _log.info("%s: its job was found again", held.title)
        held.catching_up = True
        held.stream_output = bool((attempt.configuration or {}).get("stream_output"))
        self._started(held, held.driver, attempt.reach, found)
        return True

    async def _plan(self, held: Held) -> Plan | None:
        """All that it takes to start the job; None if that cannot be, which has then been told.

        Nothing of the attempt exists yet: a platform that does not answer for long costs it no more than its turn.
        """
        backoff = Backoff(first=0.5)
        began = clock.monotonic()
        while True:
            try:
                plan = await self._platforms.plan(held.claim)
            except NotReachable as error:
                failure = failures.handed_back(error)
            except Exception as error:
                self._endings.could_not_launch(held, failures.from_render(error))
                return None
            else:
                if held.held_up:
                    held.held_up = False
                    self._identity.launch_begins(held.id)
                return plan
            self._identity.launch_ends(held.id)  # while it waits, it is no cause of the agent's death
            self._sightings.unseen(held, failure.message)
            if not await self._waited(held, backoff.next()):
                return None
            if clock.monotonic() - began >= HAND_BACK_SECONDS:
                self._endings.could_not_launch(held, failure)
                return None

    async def _waited(self, held: Held, seconds: float) -> bool:
        """Wait, less if a platform answers again. False: the launch is not wanted any more, and nothing of it exists."""
        deadline = clock.monotonic() + seconds
        while held.stage is Stage.LAUNCHING and held.cancel is None:
            left = deadline - clock.monotonic()
            if left <= 0 or await self._platforms.availability.back(min(left, NOTICE_SECONDS)):
                return True
        self._endings.nothing_to_stop(held)
        return False

    async def _write_intent(self, held: Held, plan: Plan) -> None:
        intent = Intent(
            agent_id=self._identity.id,
            job_name=plan.job.name,
            reach=plan.reach,
            infrastructure_type=plan.driver.type,
            configuration=plan.configuration,
            limits=plan.limits,
        )
        backoff = Backoff()
        while held.stage is Stage.LAUNCHING:
            try:
                await self._client.send(calls.write_intent(held.id, intent))
                return
            except (Conflict, Refused, NotFound) as error:
                if error.code == "attempt_stopping":
                    self._endings.nothing_to_stop(held)
                raise NotOurs(error.message) from None
            except (Unreachable, NotAuthorized) as error:
                _log.warning("%s waits for the server: %s", held.title, error)
                await asyncio.sleep(backoff.next(REFUSED_CAP))
            except APIError as error:
                self._endings.could_not_launch(held, failures.from_intent(error))
                raise NotOurs(error.message) from None
        raise NotOurs("the server let go of it")

    async def _start(self, held: Held, plan: Plan) -> Handle | None:
        """Start the job; None if it could not be, which has then been told.

        A platform that gives no answer may have acted: it is asked for the job before it is asked again, for ever. The
        server judges how long that may take, and its cancel order or release ends it.
        """
        backoff, preparing = Backoff(first=0.5), Backoff(first=PREPARING_SECONDS, cap=PREPARING_CAP)
        unexpected = 0
        while True:
            try:
                async with asyncio.timeout(START_SECONDS):
                    handle = await plan.driver.start(plan.request)
                    held.held_up = False
                    return handle
            except StillPreparing as what:
                self._sightings.preparing(held, what)
                if not await self._waited(held, preparing.next()):
                    return None
                continue
            except (NotReachable, TimeoutError) as error:
                failure = failures.from_start(error)
            except Exception as error:
                failure = failures.from_start(error)
                unexpected += 1
                told_by_the_driver = failures.is_a_drivers_word(error)
                if not told_by_the_driver:
                    _log.exception("%s: the driver failed in a way that it should not", held.title)
                if told_by_the_driver or unexpected >= UNEXPECTED_TRIES:
                    found = None if told_by_the_driver else await self._find(held, plan)
                    if found is None:
                        self._endings.could_not_launch(held, failure)
                    return found
            self._sightings.unseen(held, failure.message)
            self._platforms.availability.doubt(plan.driver.type, plan.acting)
            await self._platforms.availability.back(backoff.next())
            found = await self._find(held, plan)
            if found is not None:
                return found
            if held.cancel is not None or held.stage is not Stage.LAUNCHING:
                self._endings.could_not_launch(held, failure)
                return None

    async def _find(self, held: Held, plan: Plan) -> Handle | None:
        return await self._takeovers.find(held, plan.driver, plan.job.name)

    def _started(self, held: Held, driver: Driver, reach: str | None, handle: Handle) -> None:
        self.launched += 1
        held.handle, held.said, held.held_up = handle, None, False
        if held.stage is Stage.LAUNCHING:
            self._ledger.move(held, Stage.WATCHED)
        if reach is not None:
            self._identity.remember_reach(reach, driver.type)
        report = AttemptReport(
            attempt_id=held.id,
            agent_id=self._identity.id,
            handle=handle.to_json(),
            infrastructure_pid=driver.pid(handle),
        )
        self._endings.reports.add(report)
        _log.info("%s was started: %s", held.title, report.infrastructure_pid)
