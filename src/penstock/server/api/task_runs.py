from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response

from penstock.model.filters import TaskRunCount, TaskRunHistoryQuery, TaskRunQuery
from penstock.model.history import HistoryInterval
from penstock.model.states import OrchestrationResult, SetState, State
from penstock.model.task_runs import CachedStateQuery, TaskRun, TaskRunCreate, TaskRunUpdate
from penstock.server.api.answers import answer, no_content, page
from penstock.server.api.dependencies import TheAttempt, TheDatabase
from penstock.server.operations.create_task_run import create_task_run
from penstock.server.operations.read_cached_state import read_cached_state
from penstock.server.operations.read_history import read_task_run_history
from penstock.server.operations.read_task_run import read_task_run
from penstock.server.operations.read_task_runs import count_task_runs, read_task_runs
from penstock.server.operations.set_task_run_state import set_task_run_state
from penstock.server.operations.update_task_run import delete_task_run, update_task_run

router = APIRouter(prefix="/task_runs", tags=["Task Runs"])
RunId = Annotated[UUID, Path(alias="id")]


@router.post("/", response_model=TaskRun, status_code=201, responses={200: {"model": TaskRun}})
async def create(body: TaskRunCreate, database: TheDatabase, attempt: TheAttempt) -> Response:
    """201 if the task run is new, 200 if that call of the flow run has one already."""
    run, created = await database.write(create_task_run, body, attempt=attempt)
    return answer(run, 201 if created else 200)


@router.post("/filter", response_model=list[TaskRun])
async def read_many(database: TheDatabase, body: TaskRunQuery | None = None) -> Response:
    return page(*await database.read(read_task_runs, body or TaskRunQuery()))


@router.post("/count", response_model=int)
async def count(database: TheDatabase, body: TaskRunCount | None = None) -> Response:
    return answer(await database.read(count_task_runs, body or TaskRunCount()))


@router.post("/history", response_model=list[HistoryInterval])
async def read_history(body: TaskRunHistoryQuery, database: TheDatabase) -> Response:
    """Runs by interval and state."""
    return answer(await database.read(read_task_run_history, body))


@router.post("/cached_state", response_model=State | None)
async def read_cached(body: CachedStateQuery, database: TheDatabase) -> Response:
    """The completed state of the last task run with that cache key, if it is still valid; else null."""
    return answer(await database.read(read_cached_state, body.cache_key))


@router.get("/{id}", response_model=TaskRun)
async def read(run_id: RunId, database: TheDatabase) -> Response:
    return answer(await database.read(read_task_run, run_id))


@router.patch("/{id}", status_code=204)
async def update(run_id: RunId, body: TaskRunUpdate, database: TheDatabase) -> Response:
    await database.write(update_task_run, run_id, body)
    return no_content()


@router.delete("/{id}", status_code=204)
async def delete(run_id: RunId, database: TheDatabase) -> Response:
    await database.write(delete_task_run, run_id)
    return no_content()


@router.post("/{id}/set_state", response_model=OrchestrationResult, responses={201: {"model": OrchestrationResult}})
async def set_state(run_id: RunId, body: SetState, database: TheDatabase, attempt: TheAttempt) -> Response:
    """201 if a state was written, be it another than the proposed one; 200 if nothing was."""
    result, wrote = await database.write(set_task_run_state, run_id, body.state, force=body.force, attempt=attempt)
    return answer(result, 201 if wrote else 200)
