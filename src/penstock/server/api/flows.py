from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response

from penstock.model.filters import FlowCount, FlowQuery
from penstock.model.flows import Flow, FlowCreate, FlowUpdate
from penstock.server.api.answers import answer, no_content, page
from penstock.server.api.dependencies import TheDatabase
from penstock.server.operations.create_flow import create_flow
from penstock.server.operations.delete_flow import delete_flow
from penstock.server.operations.read_flow import read_flow, read_flow_by_name
from penstock.server.operations.read_flows import count_flows, read_flows
from penstock.server.operations.update_flow import update_flow

router = APIRouter(prefix="/flows", tags=["Flows"])
FlowId = Annotated[UUID, Path(alias="id")]


@router.post("/", response_model=Flow, status_code=201, responses={200: {"model": Flow}})
async def create(body: FlowCreate, database: TheDatabase) -> Response:
    """Get or create: 201 if the flow is new, 200 if one of that name is there."""
    flow, created = await database.write(create_flow, body)
    return answer(flow, 201 if created else 200)


@router.get("/name/{name}", response_model=Flow)
async def read_by_name(name: str, database: TheDatabase) -> Response:
    return answer(await database.read(read_flow_by_name, name))


@router.post("/filter", response_model=list[Flow])
async def read_many(database: TheDatabase, body: FlowQuery | None = None) -> Response:
    return page(*await database.read(read_flows, body or FlowQuery()))


@router.post("/count", response_model=int)
async def count(database: TheDatabase, body: FlowCount | None = None) -> Response:
    return answer(await database.read(count_flows, body or FlowCount()))


@router.get("/{id}", response_model=Flow)
async def read(flow_id: FlowId, database: TheDatabase) -> Response:
    return answer(await database.read(read_flow, flow_id))


@router.patch("/{id}", status_code=204)
async def update(flow_id: FlowId, body: FlowUpdate, database: TheDatabase) -> Response:
    await database.write(update_flow, flow_id, body)
    return no_content()


@router.delete("/{id}", status_code=204)
async def delete(flow_id: FlowId, database: TheDatabase) -> Response:
    await database.write(delete_flow, flow_id)
    return no_content()
