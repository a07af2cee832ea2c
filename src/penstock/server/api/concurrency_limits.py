"""Tag limits: how many task runs with a tag may run at once."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Path, Response

from penstock.model.concurrency_limits import (
    ConcurrencyLimit,
    ConcurrencyLimitCreate,
    ConcurrencyLimitList,
    ConcurrencyLimitReset,
)
from penstock.server.api.answers import answer
from penstock.server.api.dependencies import TheDatabase
from penstock.server.operations import read_concurrency_limits as reading
from penstock.server.operations.create_concurrency_limit import create_concurrency_limit
from penstock.server.operations.delete_concurrency_limit import delete_concurrency_limit
from penstock.server.operations.reset_concurrency_limit import reset_concurrency_limit

router = APIRouter(prefix="/concurrency_limits", tags=["Concurrency Limits"])

LimitId = Annotated[UUID, Path(alias="id")]


@router.post("/", response_model=ConcurrencyLimit)
async def create(asked: ConcurrencyLimitCreate, database: TheDatabase) -> Response:
    """Limit a tag, or change its limit."""
    return answer(await database.write(create_concurrency_limit, asked))


@router.post("/filter", response_model=list[ConcurrencyLimit])
async def read_many(database: TheDatabase, asked: Annotated[ConcurrencyLimitList | None, Body()] = None) -> Response:
    return answer(await database.read(reading.read_concurrency_limits, asked or ConcurrencyLimitList()))


@router.get("/tag/{tag:path}", response_model=ConcurrencyLimit)
async def read_by_tag(tag: str, database: TheDatabase) -> Response:
    return answer(await database.read(reading.read_concurrency_limit_by_tag, tag))


@router.post("/tag/{tag:path}/reset")
async def reset(
    tag: str, database: TheDatabase, asked: Annotated[ConcurrencyLimitReset | None, Body()] = None
) -> Response:
    await database.write(reset_concurrency_limit, tag, asked.slot_override if asked else None)
    return answer(None)


@router.delete("/tag/{tag:path}")
async def delete_by_tag(tag: str, database: TheDatabase) -> Response:
    await database.write(delete_concurrency_limit, tag)
    return answer(None)


@router.get("/{id}", response_model=ConcurrencyLimit)
async def read(limit_id: LimitId, database: TheDatabase) -> Response:
    return answer(await database.read(reading.read_concurrency_limit, limit_id))


@router.delete("/{id}")
async def delete(limit_id: LimitId, database: TheDatabase) -> Response:
    await database.write(delete_concurrency_limit, limit_id)
    return answer(None)
