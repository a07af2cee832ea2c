from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Path, Request, Response

from penstock.model.filters import FlowRunCount, FlowRunHistoryQuery, FlowRunQuery
from penstock.model.flow_runs import FlowRun, FlowRunCreate, FlowRunUpdate
from penstock.model.history import HistoryInterval
from penstock.model.states import OrchestrationResult, SetState
from penstock.server.api.answers import answer, no_content, page
from penstock.server.api.dependencies import TheAttempt, TheDatabase
from penstock.server.operations.create_flow_run import create_flow_run
from penstock.server.operations.delete_flow_run import delete_flow_run
from penstock.server.operations.read_flow_run import read_flow_run
from penstock.server.operations.read_flow_runs import count_flow_runs, read_flow_runs
from penstock.server.operations.read_history import read_average_lateness, read_flow_run_history
from penstock.server.operations.resume_flow_run import resume_flow_run
from penstock.server.operations.set_flow_run_state import set_flow_run_state
from penstock.server.operations.update_flow_run import update_flow_run

router = APIRouter(prefix="/flow_runs", tags=["Flow Runs"])
RunId = Annotated[UUID, Path(alias="id")]


@router.post("/", response_model=FlowRun, status_code=201, responses={200: {"model": FlowRun}})
async def create(body: FlowRunCreate, database: TheDatabase) -> Response:
    """201 if the run is new, 200 if its idempotency key was used before."""
    run, created = await database.write(create_flow_run, body)
    return answer(run, 201 if created else 200)


@router.post("/filter", response_model=list[FlowRun])
async def read_many(database: TheDatabase, body: FlowRunQuery | None = None) -> Response:
    return page(*await database.read(read_flow_runs, body or FlowRunQuery()))


@router.post("/count", response_model=int)
async def count(database: TheDatabase, body: FlowRunCount | None = None) -> Response:
    return answer(await database.read(count_flow_runs, body or FlowRunCount()))


@router.post("/history", response_model=list[HistoryInterval])
async def read_history(body: FlowRunHistoryQuery, database: TheDatabase) -> Response:
    """Runs by interval and state."""
    return answer(await database.read(read_flow_run_history, body))


@router.post("/lateness", response_model=float | None)
async def read_lateness(database: TheDatabase, body: FlowRunCount | None = None) -> Response:
    """Average seconds behind the expected start."""
    return answer(await database.read(read_average_lateness, body or FlowRunCount()))


@router.get("/{id}", response_model=FlowRun)
async def read(run_id: RunId, database: TheDatabase) -> Response:
    return answer(await database.read(read_flow_run, run_id))


@router.patch("/{id}", status_code=204)
async def update(run_id: RunId, body: FlowRunUpdate, database: TheDatabase, attempt: TheAttempt) -> Response:
    await database.write(update_flow_run, run_id, body, attempt=attempt)
    return no_content()


@router.delete("/{id}", status_code=204)
async def delete(run_id: RunId, database: TheDatabase) -> Response:
    await database.write(delete_flow_run, run_id)
    return no_content()


@router.post("/{id}/set_state", response_model=OrchestrationResult, responses={201: {"model": OrchestrationResult}})
async def set_state(
    run_id: RunId, body: SetState, database: TheDatabase, attempt: TheAttempt, request: Request
) -> Response:
    """201 if a state was written, be it another than the proposed one; 200 if nothing was."""
    mirror = not request.headers.get("user-agent", "").startswith("penstock/")
    result, wrote = await database.write(
        set_flow_run_state, run_id, body.state, force=body.force, attempt=attempt, mirror=mirror
    )
    return answer(result, 201 if wrote else 200)


@router.post("/{id}/resume", response_model=OrchestrationResult, responses={201: {"model": OrchestrationResult}})
async def resume(
    run_id: RunId,
    database: TheDatabase,
    attempt: TheAttempt,
    run_input: Annotated[dict[str, Any] | None, Body(embed=True)] = None,
    state_id: Annotated[UUID | None, Body(embed=True)] = None,
) -> Response:
    """Let a paused run go on, with the input that it waits for. 200 if it does not: the answer says why.

    `state_id`: the id of the state that follows, chosen by the client, so that the request can be repeated.
    """
    result, wrote = await database.write(resume_flow_run, run_id, run_input, state_id, attempt=attempt)
    return answer(result, 201 if wrote else 200)
