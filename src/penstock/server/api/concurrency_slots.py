"""Slots for those who name themselves: waited for in line, bound to a run or leased, given back."""

from uuid import UUID

from fastapi import APIRouter, Request, Response

from penstock.model.concurrency_limits import SlotAnswer, SlotHolder, SlotHolders, SlotRenewal, SlotRequest
from penstock.server.api.answers import answer
from penstock.server.api.dependencies import TheAttempt, TheDatabase
from penstock.server.api.slot_line import SlotLine, lease_seconds
from penstock.server.database.connection import Database
from penstock.server.operations.check_attempt_credential import check_attempt_credential
from penstock.server.operations.read_concurrency_limits import read_limited_tags, read_slot_holders
from penstock.server.operations.release_slots import release_slots, renew_slots

router = APIRouter(prefix="/concurrency_slots", tags=["Concurrency Slots"])


def _line(request: Request, database: Database) -> SlotLine:
    state = request.app.state
    if not hasattr(state, "slot_line"):
        state.slot_line = SlotLine(database)
    line: SlotLine = state.slot_line
    return line


@router.get("/tags", response_model=list[str])
async def read_tags(database: TheDatabase) -> Response:
    """Every tag that has a limit."""
    return answer(await database.read(read_limited_tags))


@router.get("/holders/{limit_id}", response_model=list[SlotHolder])
async def read_holders(limit_id: UUID, database: TheDatabase) -> Response:
    """Who holds slots of a limit of either kind; an empty list if it does not exist."""
    return answer(await database.read(read_slot_holders, limit_id))


@router.post("/acquire", response_model=SlotAnswer)
async def acquire(asked: SlotRequest, request: Request, database: TheDatabase, attempt: TheAttempt) -> Response:
    if attempt is not None:
        await database.read(check_attempt_credential, *attempt)
    return answer(await _line(request, database).ask(asked, request.is_disconnected))


@router.post("/renew", response_model=SlotRenewal)
async def renew(asked: SlotHolders, database: TheDatabase) -> Response:
    return answer(await database.write(renew_slots, asked.holder_ids, lease_seconds()))


@router.post("/release", status_code=200)
async def release(asked: SlotHolders, request: Request, database: TheDatabase) -> Response:
    """Give back what they hold; who waits leaves the line."""
    _line(request, database).forget(asked.holder_ids)
    return answer(await database.write(release_slots, asked.holder_ids))
