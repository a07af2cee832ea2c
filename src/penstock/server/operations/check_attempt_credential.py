"""Whether the token that a request shows is worth anything: the fence that a superseded engine runs into."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock.errors import NotAuthorized, Refused
from penstock.model.attempts import AttemptStatus
from penstock.server import keys
from penstock.server.database.connection import Transaction
from penstock.server.database.tables import attempt

SUPERSEDED_HINT = (
    "Another launch of this run took over, or the run is over. This process must stop; nothing it says counts."
)

#: What those who ask want to know of the attempt.
_CREDENTIAL = sa.select(attempt.c.id, attempt.c.flow_run_id, attempt.c.status, attempt.c.cancel_requested_at).where(
    attempt.c.id == sa.bindparam("attempt_id")
)


def check_attempt_credential(tx: Transaction, attempt_id: UUID, token: str) -> sa.Row[Any]:
    """The id, run, status and time of the cancel order of the attempt whose `token` this is, if it is still open.

    Raises NotAuthorized if the token is not that attempt's, and Refused ``attempt_superseded`` (409) if the attempt is
    over.
    """
    check_attempt_token(attempt_id, token)
    row = tx.execute(_CREDENTIAL, {"attempt_id": attempt_id}).one_or_none()
    if row is None or row.status == AttemptStatus.ENDED:
        raise superseded(attempt_id)
    return row


def check_attempt_token(attempt_id: UUID, token: str) -> None:
    """Raise NotAuthorized if `token` is not that attempt's, be it open or not."""
    if not keys.is_attempt_token(attempt_id, token):
        raise NotAuthorized(
            f"The token shown for attempt {attempt_id} is not its token.",
            code="attempt_token_wrong",
            hint="The token comes with the job, in PENSTOCK__ATTEMPT_TOKEN. It cannot be made up.",
            status=401,
        )


def superseded(attempt_id: UUID) -> Refused:
    return Refused(
        f"Attempt {attempt_id} is over: its token is worth nothing any more.",
        code="attempt_superseded",
        hint=SUPERSEDED_HINT,
        status=409,
    )
