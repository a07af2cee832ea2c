"""What is told of an attempt's job: what its platform says, that it does not answer, that it is not ready yet."""

import logging
from uuid import UUID

from penstock import clock
from penstock.agent.ledger import Held
from penstock.agent.reports import Reports
from penstock.errors import StillPreparing
from penstock.model.attempts import AttemptReport, Observation
from penstock.model.reasons import Phase

_log = logging.getLogger("penstock.agent")

#: Seconds after which an observation is told again although nothing has changed.
REFRESH_SECONDS = 60.0
#: Seconds after which it is told again how far the preparations for a job are.
PROGRESS_SECONDS = 3.0
#: Seconds after which a job that is missing is told again: it counts as gone only on two reads.
MISSING_SECONDS = 1.1


def worth_telling(said: Observation | None, seen: Observation, seconds_since: float) -> bool:
    """Whether `seen` says something that `said`, told `seconds_since` ago, did not."""
    if said is None or seen.status != said.status:
        return True
    if seen.status == "MISSING":
        return seconds_since >= MISSING_SECONDS
    changed = (seen.message, seen.waiting_for, seen.reason, seen.phase) != (
        said.message,
        said.waiting_for,
        said.reason,
        said.phase,
    )
    return changed or seconds_since >= REFRESH_SECONDS


class Sightings:
    def __init__(self, agent_id: UUID, reports: Reports) -> None:
        self._agent_id = agent_id
        self._reports = reports

    def tell(self, held: Held, seen: Observation) -> bool:
        """Report `seen` unless that would say nothing new; whether it was."""
        now = clock.monotonic()
        if not worth_telling(held.said, seen, now - held.said_at):
            return False
        held.said, held.said_at = seen, now
        self._reports.add(AttemptReport(attempt_id=held.id, agent_id=self._agent_id, observation=seen))
        return True

    def unseen(self, held: Held, message: str) -> None:
        """Its platform does not answer, and says `message` about that."""
        held.held_up = True
        if self.tell(held, Observation(status="UNKNOWN", observed_at=clock.now(), message=message)):
            _log.warning("%s: its platform does not answer: %s", held.title, message)

    def preparing(self, held: Held, what: StillPreparing) -> None:
        """Its platform is busy with what the job needs before it can be started."""
        first, held.held_up = not held.held_up, True
        waits = held.said is not None and held.said.status == "PENDING"
        if waits and clock.monotonic() - held.said_at < PROGRESS_SECONDS:
            return
        seen = Observation(
            status="PENDING", observed_at=clock.now(), waiting_for=what.message, phase=_phase(what.phase)
        )
        self.tell(held, seen)
        if first:
            _log.info("%s waits for %s", held.title, what.message)


def _phase(text: str) -> Phase | None:
    try:
        return Phase(text)
    except ValueError:
        return None
