from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response

from penstock.model.states import State
from penstock.server.api.answers import answer
from penstock.server.api.dependencies import TheDatabase
from penstock.server.operations.read_state import read_flow_run_state, read_flow_run_states

router = APIRouter(prefix="/flow_run_states", tags=["Flow Run States"])


@router.get("/", response_model=list[State])
async def read_many(flow_run_id: UUID, database: TheDatabase) -> Response:
    return answer(await database.read(read_flow_run_states, flow_run_id))


@router.get("/{id}", response_model=State)
async def read(state_id: Annotated[UUID, Path(alias="id")], database: TheDatabase) -> Response:
    return answer(await database.read(read_flow_run_state, state_id))
