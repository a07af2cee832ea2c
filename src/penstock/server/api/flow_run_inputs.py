"""What is sent to a flow run for it to read."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response
from fastapi.responses import PlainTextResponse

from penstock.model.flow_run_inputs import FlowRunInput, FlowRunInputCreate, FlowRunInputQuery
from penstock.server.api.answers import answer, no_content
from penstock.server.api.dependencies import TheAttempt, TheDatabase
from penstock.server.operations.create_flow_run_input import create_flow_run_input
from penstock.server.operations.delete_flow_run_input import delete_flow_run_input
from penstock.server.operations.read_flow_run_inputs import read_flow_run_input, read_flow_run_inputs

router = APIRouter(prefix="/flow_runs/{id}/input", tags=["Flow Runs"])
RunId = Annotated[UUID, Path(alias="id")]


@router.post("", status_code=201)
async def create(run_id: RunId, body: FlowRunInputCreate, database: TheDatabase, attempt: TheAttempt) -> Response:
    await database.write(create_flow_run_input, run_id, body, attempt=attempt)
    return answer(None, 201)


@router.post("/filter", response_model=list[FlowRunInput])
async def read_many(run_id: RunId, body: FlowRunInputQuery, database: TheDatabase) -> Response:
    return answer(await database.read(read_flow_run_inputs, run_id, body))


@router.get("/{key}", response_class=PlainTextResponse)
async def read(run_id: RunId, key: str, database: TheDatabase) -> Response:
    """The value alone, as plain text."""
    found = await database.read(read_flow_run_input, run_id, key)
    return PlainTextResponse(found.value)


@router.delete("/{key}", status_code=204)
async def delete(run_id: RunId, key: str, database: TheDatabase, attempt: TheAttempt) -> Response:
    await database.write(delete_flow_run_input, run_id, key, attempt=attempt)
    return no_content()
