"""One attempt from claim to handle: render → intent → start → report of the handle; or its job found again.

The intent and the start are the only two round trips on the way; the handle is reported afterwards, in a batch.
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
from penstock.client import attempts as calls
from penstock.client.asynchronous import AsyncClient
from penstock.errors import APIError, Conflict, NotAuthorized, NotFound, NotReachable, Refused, Unreachable
from penstock.infrastructure.base import Handle
from penstock.model.attempts import AttemptReport, AttemptStatus, Claim, Intent, Observation

_log = logging.getLogger("penstock.agent")

#: Seconds that a platform may take to accept a job, or to say whether it has one, before it is asked again.
START_SECONDS, FIND_SECONDS = 180.0, 60.0
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
        self._supervisor = supervisor
        self.launched = 0

    def take(self, claim: Claim) -> None:
        """Make `claim` this agent's business. One that it already holds is left alone."""
        if claim.attempt.id not in self._ledger:
            held = Held(claim)
            self._ledger.add(held)
            self._supervisor.spawn(f"launch {held.id}", self._bring_up(held))

    async def _bring_up(self, held: Held) -> None:
        """Whatever happens in here ends this attempt at most, and is told."""
        try:
            if held.claim.attempt.handle is not None:
                held.catching_up = True
                self._watch(held, Handle.from_json(held.claim.attempt.handle))
                _log.info("%s is watched again", held.title)
            else:
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
        if deaths >= MOST_DEATHS and held.claim.attempt.status is AttemptStatus.CLAIMED:
            self._endings.could_not_launch(held, failures.poisonous(deaths))
            return
        try:
            plan = await self._platforms.plan(held.claim)
        except NotReachable as error:
            self._endings.could_not_launch(held, failures.from_start(error))
            return
        except Exception as error:
            self._endings.could_not_launch(held, failures.from_render(error))
            return
        held.driver, held.stream_output = plan.driver, plan.stream_output
        if held.claim.attempt.status is AttemptStatus.LAUNCHING:
            found = await self._find(held, plan)
            if found is not None:
                _log.info("%s: its job was found again", held.title)
                held.catching_up = True
                self._started(held, plan, found)
                return
        if held.cancel is not None:
            self._endings.nothing_to_stop(held)
            return
        await self._write_intent(held, plan)
        handle = await self._start(held, plan)
        if handle is not None:
            self._started(held, plan, handle)

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
        backoff = Backoff(first=0.5)
        unexpected = 0
        while True:
            try:
                async with asyncio.timeout(START_SECONDS):
                    return await plan.driver.start(plan.request)
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
            self._say_unseen(held, failure.message)
            await asyncio.sleep(backoff.next())
            found = await self._find(held, plan)
            if found is not None:
                return found
            if held.cancel is not None or held.stage is not Stage.LAUNCHING:
                self._endings.could_not_launch(held, failure)
                return None

    async def _find(self, held: Held, plan: Plan) -> Handle | None:
        """The attempt's job if the platform has it. Asks until the platform answers."""
        backoff = Backoff(first=0.5)
        while True:
            try:
                async with asyncio.timeout(FIND_SECONDS):
                    return await plan.driver.find_job(plan.job.name)
            except Exception as error:
                self._say_unseen(held, str(error) or type(error).__name__)
                await asyncio.sleep(backoff.next())

    def _say_unseen(self, held: Held, message: str) -> None:
        _log.warning("%s: its platform does not answer: %s", held.title, message)
        seen = Observation(status="UNKNOWN", observed_at=clock.now(), message=message)
        self._endings.reports.add(AttemptReport(attempt_id=held.id, agent_id=self._identity.id, observation=seen))

    def _started(self, held: Held, plan: Plan, handle: Handle) -> None:
        self.launched += 1
        self._watch(held, handle)
        self._identity.remember_reach(plan.reach)
        report = AttemptReport(
            attempt_id=held.id,
            agent_id=self._identity.id,
            handle=handle.to_json(),
            infrastructure_pid=plan.driver.pid(handle),
        )
        self._endings.reports.add(report)
        _log.info("%s was started: %s", held.title, report.infrastructure_pid)

    def _watch(self, held: Held, handle: Handle) -> None:
        held.handle = handle
        if held.driver is None:
            held.driver = self._platforms.driver(handle.type)
            held.stream_output = bool((held.claim.attempt.configuration or {}).get("stream_output"))
        if held.stage is Stage.LAUNCHING:
            self._ledger.move(held, Stage.WATCHED)
