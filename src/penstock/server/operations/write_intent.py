"""Intent before action: from here on something may exist on a platform, and its name is known."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock.errors import Conflict, NotFound
from penstock.model.attempts import Attempt, AttemptStatus, Intent
from penstock.server.database.connection import Transaction
from penstock.server.database.statements import lock_row, update_and_read
from penstock.server.database.tables import attempt
from penstock.server.operations.read_attempts import attempt_from

GIVE_UP = "Forget this attempt and start nothing for it."


def write_intent(tx: Transaction, attempt_id: UUID, intent: Intent) -> Attempt:
    """Write down that the attempt's agent is about to start a job. Said again, it changes nothing.

    Raises NotFound, or Conflict if the attempt is another agent's, is over, is to be stopped, or has another job's
    name.
    """
    # of the run nothing is asked: whoever wants it cancelled has to lock its open attempt as well
    row = lock_row(tx, attempt, attempt_id)
    if row is None:
        raise NotFound(f"There is no attempt {attempt_id}", hint=GIVE_UP)
    _refuse(row, intent)
    if row.status == AttemptStatus.CLAIMED:
        values: dict[str, Any] = {
            "status": AttemptStatus.LAUNCHING.value,
            "job_name": intent.job_name,
            "reach": intent.reach,
            "infrastructure_type": intent.infrastructure_type,
            "configuration": intent.configuration,
            "limits": intent.limits.model_dump(mode="json"),
            "launched_at": tx.now,
            "updated": tx.now,
        }
        row = update_and_read(tx, attempt, attempt_id, values)
    return attempt_from(row)


def _refuse(row: sa.Row[Any], intent: Intent) -> None:
    if row.status == AttemptStatus.ENDED:
        raise Conflict(f"Attempt {row.id} is over", code="attempt_ended", hint=GIVE_UP)
    if row.agent_id != intent.agent_id:
        raise Conflict(
            f"Attempt {row.id} belongs to agent {row.agent_name!r}", code="attempt_of_another_agent", hint=GIVE_UP
        )
    if row.cancel_requested_at is not None:
        raise Conflict(f"Attempt {row.id} is to be stopped: {row.stop_reason}", code="attempt_stopping", hint=GIVE_UP)
    if row.job_name is not None and row.job_name != intent.job_name:
        raise Conflict(
            f"Attempt {row.id} was meant to be job {row.job_name!r}, not {intent.job_name!r}",
            code="job_name_differs",
            hint="Look for the job of the first name: it may exist already.",
        )
