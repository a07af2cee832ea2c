"""Work queues by id, and those of the default agent pool by name."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Header, Response

from penstock.model.flow_runs import FlowRun
from penstock.model.work_filters import QueueRunsQuery, WorkQueueList
from penstock.model.work_queues import WorkQueue, WorkQueueCreate, WorkQueueStatusDetail, WorkQueueUpdate
from penstock.server.api.answers import answer, no_content
from penstock.server.api.dependencies import TheDatabase
from penstock.server.operations import read_work_queues
from penstock.server.operations.create_work_queue import create_work_queue
from penstock.server.operations.delete_work_queue import delete_work_queue
from penstock.server.operations.read_waiting_runs import read_waiting_runs_of_queue
from penstock.server.operations.update_work_queue import update_work_queue

router = APIRouter(prefix="/work_queues", tags=["Work queues"])


@router.post("/", response_model=WorkQueue, status_code=201)
async def create(asked: WorkQueueCreate, database: TheDatabase) -> Response:
    return answer(await database.write(create_work_queue, asked), 201)


@router.post("/filter", response_model=list[WorkQueue])
async def read_many(database: TheDatabase, asked: Annotated[WorkQueueList | None, Body()] = None) -> Response:
    return answer(await database.read(read_work_queues.read_work_queues, asked or WorkQueueList()))


@router.get("/name/{name}", response_model=WorkQueue)
async def read_by_name(name: str, database: TheDatabase) -> Response:
    return answer(await database.read(read_work_queues.read_work_queue_by_name, name))


@router.get("/{id}", response_model=WorkQueue)
async def read(id: UUID, database: TheDatabase) -> Response:  # noqa: A002
    return answer(await database.read(read_work_queues.read_work_queue, id))


@router.get("/{id}/status", response_model=WorkQueueStatusDetail)
async def read_status(id: UUID, database: TheDatabase) -> Response:  # noqa: A002
    return answer(await database.read(read_work_queues.read_work_queue_status, id))


@router.post("/{id}/get_runs", response_model=list[FlowRun])
async def read_runs(
    id: UUID,  # noqa: A002
    database: TheDatabase,
    asked: Annotated[QueueRunsQuery | None, Body()] = None,
    x_prefect_ui: Annotated[bool, Header()] = False,
) -> Response:
    """The runs that wait; asking counts as polling, unless a user interface asks."""
    asked = asked or QueueRunsQuery()
    return answer(await database.write(read_waiting_runs_of_queue, id, asked, polled=not x_prefect_ui))


@router.patch("/{id}", status_code=204)
async def update(id: UUID, change: WorkQueueUpdate, database: TheDatabase) -> Response:  # noqa: A002
    await database.write(update_work_queue, id, change)
    return no_content()


@router.delete("/{id}", status_code=204)
async def delete(id: UUID, database: TheDatabase) -> Response:  # noqa: A002
    await database.write(delete_work_queue, id)
    return no_content()
