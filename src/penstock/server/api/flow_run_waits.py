"""Whoever waits for a run to change asks once and is answered when it has."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response

from penstock import clock
from penstock.model.flow_runs import FlowRun
from penstock.model.states import StateType
from penstock.server.api.answers import answer
from penstock.server.api.dependencies import TheDatabase
from penstock.server.database.connection import Database
from penstock.server.operations.expire_pauses import expire_pause
from penstock.server.operations.read_flow_run import read_flow_run
from penstock.server.rules.flow_runs import is_expired

router = APIRouter(prefix="/flow_runs", tags=["Flow Runs"])

#: Most seconds that one request waits.
LONGEST_WAIT = 60.0
#: Seconds after which a waiting request looks again by itself, where other servers may write to the same database.
LOOK_AGAIN = 1.0
#: Seconds after which it looks whether anybody still waits for the answer.
LOOK_FOR_CALLER = 5.0


@router.get("/{id}/wait", response_model=FlowRun)
async def wait(
    run_id: Annotated[UUID, Path(alias="id")],
    request: Request,
    database: TheDatabase,
    state_id: UUID | None = None,
    seconds: Annotated[float, Query(ge=0, le=LONGEST_WAIT)] = 30.0,
) -> Response:
    """The run as soon as its state is another than `state_id`, or as it is after so many `seconds`."""
    deadline = clock.monotonic() + seconds
    with database.hub.subscribe([f"state:{run_id}"]) as subscription:
        while True:
            run = await read_run(database, run_id)
            left = deadline - clock.monotonic()
            if run.state_id != state_id or left <= 0 or database.hub.closing or await request.is_disconnected():
                return answer(run)
            await subscription.wait(_pause(database, run, left))


async def read_run(database: Database, run_id: UUID) -> FlowRun:
    """The run. A pause that is over its time is judged here: its process waits for just that."""
    run = await database.read(read_flow_run, run_id)
    if run.state_type is StateType.PAUSED and run.state is not None and is_expired(run.state, clock.now()):
        await database.write(expire_pause, run_id)
        run = await database.read(read_flow_run, run_id)
    return run


def _pause(database: Database, run: FlowRun, left: float) -> float:
    """Seconds until it is time to look again even if nothing wakes us."""
    pause = min(left, LOOK_FOR_CALLER if database.is_sqlite else LOOK_AGAIN)
    timeout = run.state.state_details.pause_timeout if run.state is not None else None
    if run.state_type is StateType.PAUSED and timeout is not None:
        pause = min(pause, (timeout - clock.now()).total_seconds())
    return max(pause, 0.005)
