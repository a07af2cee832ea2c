"""Limits on how many flow runs are live at once, and who takes their slots."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Response

from penstock.model.flow_run_limits import FlowRunTagLimit, FlowRunTagLimitCreate, FlowRunTagLimitList, SlotUse
from penstock.server.api.answers import answer, no_content
from penstock.server.api.dependencies import TheDatabase
from penstock.server.operations import flow_run_tag_limits as tags
from penstock.server.operations import read_live_runs as live

router = APIRouter(tags=["Limits of flow runs"])


@router.get("/work_queues/{id}/slots", response_model=SlotUse)
async def read_slots_of_queue(id: UUID, database: TheDatabase) -> Response:  # noqa: A002
    return answer(await database.read(live.read_slots_of_queue, id))


@router.get("/work_pools/{name}/slots", response_model=SlotUse)
async def read_slots_of_pool(name: str, database: TheDatabase) -> Response:
    return answer(await database.read(live.read_slots_of_pool, name))


@router.get("/deployments/{id}/slots", response_model=SlotUse)
async def read_slots_of_deployment(id: UUID, database: TheDatabase) -> Response:  # noqa: A002
    return answer(await database.read(live.read_slots_of_deployment, id))


@router.post("/flow_run_tag_limits/", response_model=FlowRunTagLimit)
async def create(asked: FlowRunTagLimitCreate, database: TheDatabase) -> Response:
    """Limit a tag, or change its limit."""
    return answer(await database.write(tags.create_flow_run_tag_limit, asked))


@router.post("/flow_run_tag_limits/filter", response_model=list[FlowRunTagLimit])
async def read_many(database: TheDatabase, asked: Annotated[FlowRunTagLimitList | None, Body()] = None) -> Response:
    return answer(await database.read(tags.read_flow_run_tag_limits, asked or FlowRunTagLimitList()))


@router.get("/flow_run_tag_limits/slots/{tag:path}", response_model=SlotUse)
async def read_slots_of_tag(tag: str, database: TheDatabase) -> Response:
    return answer(await database.read(live.read_slots_of_tag, tag))


@router.get("/flow_run_tag_limits/tag/{tag:path}", response_model=FlowRunTagLimit)
async def read(tag: str, database: TheDatabase) -> Response:
    return answer(await database.read(tags.read_flow_run_tag_limit, tag))


@router.delete("/flow_run_tag_limits/tag/{tag:path}", status_code=204)
async def delete(tag: str, database: TheDatabase) -> Response:
    await database.write(tags.delete_flow_run_tag_limit, tag)
    return no_content()
