"""What the agent has to tell about its attempts: collected, merged, sent in batches, kept until the server has it."""

import asyncio
import logging
from collections.abc import Callable
from uuid import UUID

from penstock.agent.backoff import REFUSED_CAP, Backoff
from penstock.client import attempts as calls
from penstock.client.asynchronous import AsyncClient
from penstock.errors import APIError, NotAuthorized, Unreachable
from penstock.model.attempts import AttemptReport, AttemptReportResult, AttemptReports, Exit, Observation

_log = logging.getLogger("penstock.agent.reports")

#: Most reports of one request, and most characters of output in it.
BATCH_REPORTS = 200
BATCH_CHARACTERS = 1_000_000
#: Seconds after which one request is given up and sent again.
REQUEST_SECONDS = 90.0

#: Called with what was sent and what the server said to it.
Acknowledged = Callable[[AttemptReport, AttemptReportResult], None]


def merged(older: AttemptReport | None, newer: AttemptReport) -> AttemptReport:
    """One report that says what both say. The newer wins, but what has ended, failed or gone stays so."""
    if older is None:
        return newer
    update = {name: value for name in newer.model_fields_set if (value := getattr(newer, name)) is not None}
    over = older.observation is not None and older.observation.status == "ENDED"
    if over and newer.observation is not None and newer.observation.status != "ENDED":
        del update["observation"]
    update["failure"] = older.failure or newer.failure
    update["gone"] = older.gone or newer.gone
    return older.model_copy(update=update)


def bare_end(report: AttemptReport) -> AttemptReport:
    """That the job is over, and how, without anything that a server could object to: texts, and words of closed lists."""
    seen, exited = report.observation, report.observation.exit if report.observation else None
    if exited is not None:
        exited = Exit(code=exited.code, signal=exited.signal, oom=exited.oom)
    return AttemptReport(
        attempt_id=report.attempt_id,
        agent_id=report.agent_id,
        observation=Observation(status=seen.status, observed_at=seen.observed_at, exit=exited) if seen else None,
        failure=report.failure,
        gone=report.gone,
    )


def next_batch(waiting: dict[UUID, AttemptReport]) -> list[AttemptReport]:
    """The first of `waiting` that fit into one request; at least one."""
    batch: list[AttemptReport] = []
    characters = 0
    for report in waiting.values():
        characters += len(report.output_tail or "")
        if batch and (characters > BATCH_CHARACTERS or len(batch) >= BATCH_REPORTS):
            break
        batch.append(report)
    return batch


class Reports:
    """One at most per attempt waits here, whatever happens, until the server has taken it."""

    def __init__(self, client: AsyncClient, acknowledged: Acknowledged) -> None:
        self._client = client
        self._acknowledged = acknowledged
        self._waiting: dict[UUID, AttemptReport] = {}
        self._under_way: dict[UUID, AttemptReport] = {}
        self._filled = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self.sent = 0

    def add(self, report: AttemptReport) -> None:
        self._waiting[report.attempt_id] = merged(self._waiting.get(report.attempt_id), report)
        self._empty.clear()
        self._filled.set()

    def __len__(self) -> int:
        return len(self._waiting) + len(self._under_way)

    async def flushed(self) -> None:
        """Wait until nothing waits."""
        await self._empty.wait()

    async def run(self) -> None:
        """Send what waits, for ever."""
        backoff = Backoff()
        while True:
            await self._filled.wait()
            batch = next_batch(self._waiting)
            self._under_way = {report.attempt_id: self._waiting.pop(report.attempt_id) for report in batch}
            try:
                await self._send(batch)
                backoff.reset()
            except APIError as error:
                delay = backoff.next(REFUSED_CAP if isinstance(error, Unreachable) else None)
                if backoff.failures in (1, 10):
                    _log.warning("Reports on %d attempts wait for the server: %s", len(self) or len(batch), error)
                self._put_back()
                await asyncio.sleep(delay)
            finally:
                self._put_back()
                if not self._waiting:
                    self._filled.clear()
                    self._empty.set()

    async def _send(self, batch: list[AttemptReport]) -> None:
        """Send `batch`. One that the server cannot even read holds up no other: it is sent alone, then given up."""
        try:
            await self._send_together(batch)
        except (Unreachable, NotAuthorized):
            raise
        except APIError as error:
            if error.status is None or error.status >= 500 or error.status in (408, 429):
                raise
            for report in batch:
                await self._send_alone(report)

    async def _send_alone(self, report: AttemptReport) -> None:
        try:
            await self._send_together([report])
        except (Unreachable, NotAuthorized):
            raise
        except APIError as error:
            # What is still so is observed again and reported again: giving up this report loses nothing for good. But
            # an end is seen once.
            self._under_way.pop(report.attempt_id, None)
            _log.error("The server does not take the report on attempt %s: %s", report.attempt_id, error)
            if report.gone and (bare := bare_end(report)) != report:
                self.add(bare)

    async def _send_together(self, batch: list[AttemptReport]) -> None:
        call = calls.send_attempt_reports(AttemptReports(reports=batch))
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                results = await self._client.send(call)
        except TimeoutError:
            raise Unreachable(f"the server did not answer within {REQUEST_SECONDS:.0f} s") from None
        answers = {result.attempt_id: result for result in results}
        for report in batch:
            self._under_way.pop(report.attempt_id, None)
            self.sent += 1
            if answer := answers.get(report.attempt_id):
                self._acknowledged(report, answer)

    def _put_back(self) -> None:
        """What was not taken waits again, under whatever was said since."""
        for attempt_id, report in self._under_way.items():
            newer = self._waiting.get(attempt_id)
            self._waiting[attempt_id] = report if newer is None else merged(report, newer)
        self._under_way = {}
