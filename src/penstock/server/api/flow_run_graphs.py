"""A flow run as a graph."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response

from penstock.model.graphs import Dependency, Graph
from penstock.server.api.answers import answer
from penstock.server.api.dependencies import TheDatabase
from penstock.server.operations.read_flow_run_graph import read_dependencies, read_flow_run_graph

router = APIRouter(prefix="/flow_runs/{id}", tags=["Flow Runs"])
RunId = Annotated[UUID, Path(alias="id")]


@router.get("/graph", response_model=list[Dependency])
async def read_list(run_id: RunId, database: TheDatabase) -> Response:
    return answer(await database.read(read_dependencies, run_id))


@router.get("/graph-v2", response_model=Graph)
async def read(run_id: RunId, database: TheDatabase, since: datetime | None = None) -> Response:
    return answer(await database.read(read_flow_run_graph, run_id, since))
