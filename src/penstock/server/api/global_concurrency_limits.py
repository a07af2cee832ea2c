"""Limits with a name, of which code asks for slots."""

import math
from typing import Annotated

from fastapi import APIRouter, Body, Response

from penstock.model.concurrency_limits import (
    ConcurrencyLimitList,
    GlobalConcurrencyLimit,
    GlobalConcurrencyLimitCreate,
    GlobalConcurrencyLimitUpdate,
    MinimalConcurrencyLimit,
    SlotDecrement,
    SlotIncrement,
)
from penstock.server.api.answers import answer, no_content
from penstock.server.api.dependencies import TheDatabase
from penstock.server.operations import read_global_concurrency_limits as reading
from penstock.server.operations.count_slots import decrement_slots, increment_slots
from penstock.server.operations.create_global_concurrency_limit import create_global_concurrency_limit
from penstock.server.operations.delete_global_concurrency_limit import delete_global_concurrency_limit
from penstock.server.operations.update_global_concurrency_limit import update_global_concurrency_limit

router = APIRouter(prefix="/v2/concurrency_limits", tags=["Concurrency Limits V2"])


@router.post("/", response_model=GlobalConcurrencyLimit, status_code=201)
async def create(asked: GlobalConcurrencyLimitCreate, database: TheDatabase) -> Response:
    return answer(await database.write(create_global_concurrency_limit, asked), 201)


@router.post("/filter", response_model=list[GlobalConcurrencyLimit])
async def read_many(database: TheDatabase, asked: Annotated[ConcurrencyLimitList | None, Body()] = None) -> Response:
    return answer(await database.read(reading.read_global_concurrency_limits, asked or ConcurrencyLimitList()))


@router.post("/increment", response_model=list[MinimalConcurrencyLimit])
async def increment(asked: SlotIncrement, database: TheDatabase) -> Response:
    """423 with Retry-After when there are not enough slots now."""
    done = await database.write(increment_slots, asked)
    if done.retry_after is not None:
        return answer(done.limits, 423, {"Retry-After": str(math.ceil(done.retry_after))})
    return answer(done.limits)


@router.post("/decrement", response_model=list[MinimalConcurrencyLimit])
async def decrement(asked: SlotDecrement, database: TheDatabase) -> Response:
    return answer(await database.write(decrement_slots, asked))


@router.get("/{id_or_name}", response_model=GlobalConcurrencyLimit)
async def read(id_or_name: str, database: TheDatabase) -> Response:
    return answer(await database.read(reading.read_global_concurrency_limit, id_or_name))


@router.patch("/{id_or_name}", status_code=204)
async def update(id_or_name: str, change: GlobalConcurrencyLimitUpdate, database: TheDatabase) -> Response:
    await database.write(update_global_concurrency_limit, id_or_name, change)
    return no_content()


@router.delete("/{id_or_name}", status_code=204)
async def delete(id_or_name: str, database: TheDatabase) -> Response:
    await database.write(delete_global_concurrency_limit, id_or_name)
    return no_content()
