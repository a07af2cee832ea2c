from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response

from penstock.model.states import State
from penstock.server.api.answers import answer
from penstock.server.api.dependencies import TheDatabase
from penstock.server.operations.read_state import read_task_run_state, read_task_run_states

router = APIRouter(prefix="/task_run_states", tags=["Task Run States"])


@router.get("/", response_model=list[State])
async def read_many(task_run_id: UUID, database: TheDatabase) -> Response:
    return answer(await database.read(read_task_run_states, task_run_id))


@router.get("/{id}", response_model=State)
async def read(state_id: Annotated[UUID, Path(alias="id")], database: TheDatabase) -> Response:
    return answer(await database.read(read_task_run_state, state_id))
