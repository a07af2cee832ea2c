"""How attempts leave the agent's hands: their end is told until the server agrees, then their job is cleared away."""

import asyncio
import logging
from collections import defaultdict
from uuid import UUID

from penstock import clock
from penstock.agent import output
from penstock.agent.backoff import Backoff
from penstock.agent.failures import Failure
from penstock.agent.ledger import Held, Ledger, Stage
from penstock.agent.output import Console
from penstock.agent.reports import Reports
from penstock.agent.sightings import Sightings
from penstock.agent.supervision import Supervisor
from penstock.client import attempts as calls
from penstock.client.asynchronous import AsyncClient
from penstock.errors import APIError, NotFound
from penstock.infrastructure.base import Driver, Handle
from penstock.model.attempts import Attempt, AttemptReport, AttemptReportResult, AttemptStatus, Observation

_log = logging.getLogger("penstock.agent")

#: Seconds until an end that the server does not believe yet is told again. It wants two looks one second apart.
TELL_AGAIN_SECONDS = 1.1
#: Seconds that a driver may take to remove what is left, and the tries it gets before that is left to the sweep.
REMOVE_SECONDS, REMOVE_TRIES = 60.0, 3
#: Seconds that the report of an end may take to reach the server before what is left of the job is removed.
TOLD_SECONDS = 600.0
#: Ended jobs of one driver whose output is read at once.
READ_AT_ONCE = 4
#: Seconds that a driver may take to stop a job beyond its grace.
STOP_SECONDS = 120.0


class Endings:
    def __init__(
        self, agent_id: UUID, client: AsyncClient, ledger: Ledger, supervisor: Supervisor, console: Console
    ) -> None:
        self._agent_id = agent_id
        self._console = console
        self._client = client
        self._ledger = ledger
        self._supervisor = supervisor
        self.reports = Reports(client, self.acknowledged)
        self.sightings = Sightings(agent_id, self.reports)
        self._reading: defaultdict[Driver | None, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(READ_AT_ONCE)
        )
        self.ended = 0

    def job_is_over(self, held: Held, observation: Observation) -> None:
        """The platform says that the job has ended, or that it is gone after it was stopped."""
        if held.stage in (Stage.ENDED, Stage.LEAVING):
            return
        self._ledger.move(held, Stage.ENDED)
        self.ended += 1
        _log.info("%s: its job has ended%s", held.title, describe(observation))
        self._supervisor.spawn(f"end {held.id}", self._tell_end(held, observation))

    async def _tell_end(self, held: Held, observation: Observation) -> None:
        async with self._reading[held.driver]:
            tail = await output.tail(held, self._console)
        report = AttemptReport(
            attempt_id=held.id, agent_id=self._agent_id, observation=observation, output_tail=tail, gone=True
        )
        self._tell(held, report)

    def could_not_launch(self, held: Held, failure: Failure) -> None:
        """Nothing of the attempt exists, and `failure` is why."""
        if held.stage in (Stage.ENDED, Stage.LEAVING):
            return
        self._ledger.move(held, Stage.ENDED)
        _log.error("%s could not be launched: %s", held.title, failure.message)
        report = AttemptReport(
            attempt_id=held.id,
            agent_id=self._agent_id,
            failure=True,
            phase=failure.phase,
            reason=failure.reason,
            message=failure.message,
            hint=failure.hint,
            gone=True,
        )
        self._tell(held, report)

    def nothing_to_stop(self, held: Held) -> None:
        """It was to be stopped, and no job of it exists."""
        if held.stage is Stage.LAUNCHING:
            self._ledger.move(held, Stage.ENDED)
            _log.info("%s: nothing was started, so there is nothing to stop", held.title)
            seen = held.said
            words = (
                (seen.message or (seen.waiting_for and f"It was waiting for {seen.waiting_for}."))
                if seen is not None
                else None
            )
            self._tell(held, AttemptReport(attempt_id=held.id, agent_id=self._agent_id, gone=True, message=words))

    def release(self, attempt_id: UUID) -> None:
        """The server needs no more of it: it is over, or it is another agent's now."""
        held = self._ledger.get(attempt_id)
        if held is not None and held.stage is not Stage.LEAVING:
            was = held.stage
            self._ledger.move(held, Stage.LEAVING)
            let_go = self._settle(held) if was is Stage.ENDED else self._retire(held)
            self._supervisor.spawn(f"leave {attempt_id}", let_go)

    def acknowledged(self, report: AttemptReport, result: AttemptReportResult) -> None:
        """The server has `report`."""
        held = self._ledger.get(report.attempt_id)
        if held is not None and report.gone:
            held.told.set()
        if held is None or held.stage is Stage.LEAVING:
            return
        over = result.status is AttemptStatus.ENDED
        if held.stage is not Stage.ENDED:
            if over or not result.known:
                self.release(held.id)
        elif report.gone:
            if over or not result.known:
                self.release(held.id)
            elif held.final is not None:
                self._supervisor.spawn(f"remind {held.id}", self._tell_again(held))

    def _tell(self, held: Held, report: AttemptReport) -> None:
        held.final = report
        self.reports.add(report)

    async def _tell_again(self, held: Held) -> None:
        await asyncio.sleep(TELL_AGAIN_SECONDS)
        report = held.final
        if report is not None and held.stage is Stage.ENDED:
            seen = report.observation
            if seen is not None:
                seen = seen.model_copy(update={"observed_at": clock.now()})
            # its output is there already
            self.reports.add(report.model_copy(update={"observation": seen, "output_tail": None}))

    async def _settle(self, held: Held) -> None:
        """The server agrees. What is left of the job goes or stays, as its configuration wants it."""
        seen = held.final.observation if held.final else None
        ended_well = seen is not None and seen.exit is not None and seen.exit.code == 0
        if held.job is not None and not stays(held.job, ended_well or held.cancel is not None):
            await self._told(held)
            await self._remove(held)
        self._ledger.drop(held)

    async def _told(self, held: Held) -> None:
        """Wait until the server has the end of the job's output: after that, nothing is lost by removing it.

        What the server does not take in all that time, it never will.
        """
        try:
            async with asyncio.timeout(TOLD_SECONDS):
                await held.told.wait()
        except TimeoutError:
            _log.warning("%s: the end of its output did not reach the server", held.title)

    async def _retire(self, held: Held) -> None:
        """Find out why the server let go, and stop the job if nobody else answers for it."""
        attempt = await self._read(held.id)
        if attempt is not None and attempt.status is not AttemptStatus.ENDED:
            whose = "another agent's" if attempt.agent_id != self._agent_id else "to be offered again"
            _log.info("%s is %s now", held.title, whose)
            self._ledger.drop(held)
            return
        # it may be under way to its platform just now, or its platform may not answer yet
        await held.launched.wait()
        if (job := held.job) is not None:
            _log.warning("%s is over for the server: what is left of its job is stopped", held.title)
            await self.stop(held, *job, attempt.limits.grace if attempt is not None else 0.0)
            if attempt is not None:
                await self._tell_late(held, *job)
            if not stays(job, True):
                await self._remove(held)
        self._ledger.drop(held)

    async def _tell_late(self, held: Held, driver: Driver, handle: Handle) -> None:
        """How the job ended and what it printed, for an attempt that was over before anybody could know."""
        tail = await output.tail(held, self._console)
        try:
            async with asyncio.timeout(REMOVE_SECONDS):
                seen = (await driver.observe([handle]))[0]
        except Exception:
            return
        self.reports.add(
            AttemptReport(attempt_id=held.id, agent_id=self._agent_id, observation=seen, output_tail=tail, gone=True)
        )
        await self._told(held)

    async def _read(self, attempt_id: UUID) -> Attempt | None:
        """The attempt as the server has it, None if it has none of that id. Asks until there is an answer."""
        backoff = Backoff()
        while True:
            try:
                return await self._client.send(calls.read_attempt(attempt_id))
            except NotFound:
                return None
            except APIError:
                await asyncio.sleep(backoff.next())

    async def stop(self, held: Held, driver: Driver, handle: Handle, grace: float) -> None:
        """Stop the job; returns when it is confirmed gone. Tries until then."""
        backoff = Backoff(first=1.0)
        while True:
            try:
                async with asyncio.timeout(grace + STOP_SECONDS):
                    return await driver.stop(handle, grace)
            except Exception as error:
                delay = backoff.next()
                reason = str(error) or type(error).__name__
                _log.warning("%s: its job cannot be stopped yet (%s); next try in %.0f s", held.title, reason, delay)
                seen = Observation(
                    status="UNKNOWN", observed_at=clock.now(), message=f"It cannot be stopped yet: {reason}"
                )
                if held.stopping:
                    self.reports.add(AttemptReport(attempt_id=held.id, agent_id=self._agent_id, observation=seen))
                await asyncio.sleep(delay)

    async def _remove(self, held: Held) -> None:
        if held.job is None:
            return
        driver, handle = held.job
        backoff = Backoff(first=1.0)
        for _ in range(REMOVE_TRIES):
            try:
                async with asyncio.timeout(REMOVE_SECONDS):
                    await driver.remove(handle)
                return
            except Exception as error:
                _log.warning("%s: what is left of its job cannot be removed yet: %s", held.title, error)
                await asyncio.sleep(backoff.next())


def stays(job: tuple[Driver, Handle], if_unsaid_goes: bool) -> bool:
    """Whether what is left of an ended job stays for people to look at, until the sweep.

    `if_unsaid_goes` is for jobs whose configuration leaves that open.
    """
    driver, handle = job
    keeps = driver.keeps(handle)
    return not if_unsaid_goes if keeps is None else keeps


def describe(observation: Observation) -> str:
    """How the job ended, as the end of a sentence."""
    ended = observation.exit
    if ended is None:
        return f": {observation.message}" if observation.message else ""
    if ended.signal is not None:
        return f" by signal {ended.signal}"
    if ended.code is not None:
        return f" with exit code {ended.code}"
    return f": {ended.message}" if ended.message else ""
