"""What a route may ask for: the database, and who is asking."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request

from penstock.errors import Invalid
from penstock.server.database.connection import Database

#: The header by which an engine shows for which attempt it speaks: ``ATTEMPT_ID:TOKEN``.
ATTEMPT_HEADER = "x-penstock-attempt"


def parse_attempt(text: str) -> tuple[UUID, str]:
    """The id and token in the value of `ATTEMPT_HEADER`. Raises `Invalid` if it is neither."""
    attempt_id, _, token = text.partition(":")
    try:
        return UUID(attempt_id), token
    except ValueError:
        raise Invalid(f"The header X-Penstock-Attempt must be ATTEMPT_ID:TOKEN, not {text[:8]!r}…") from None


# Neither waits for anything; "async" keeps FastAPI from asking a thread of its pool for each.
async def _database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


async def _attempt(request: Request) -> tuple[UUID, str] | None:
    text = request.headers.get(ATTEMPT_HEADER)
    return parse_attempt(text) if text else None


async def _by_attempt(request: Request) -> bool:
    return getattr(request.state, "by_attempt", None) is not None


TheDatabase = Annotated[Database, Depends(_database)]
#: Id and token of the attempt that the request speaks for, or None.
TheAttempt = Annotated[tuple[UUID, str] | None, Depends(_attempt)]
#: Whether nothing but the credential of an attempt let the request in, where the server demands a key.
OnlyByAttempt = Annotated[bool, Depends(_by_attempt)]
