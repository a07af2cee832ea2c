"""Work pools, their queues by name, and who polls them."""

from typing import Annotated

from fastapi import APIRouter, Body, Response

from penstock.model.work_filters import PoolRun, PoolRunsQuery, WorkPoolCount, WorkPoolList, WorkQueueList
from penstock.model.work_pools import WorkPool, WorkPoolCreate, WorkPoolUpdate
from penstock.model.work_queues import WorkQueue, WorkQueueCreate, WorkQueueUpdate
from penstock.model.workers import Worker, WorkerHeartbeat, WorkerList
from penstock.server.api.answers import answer, no_content
from penstock.server.api.dependencies import TheDatabase
from penstock.server.database.connection import Transaction
from penstock.server.operations import read_work_pools, read_work_queues
from penstock.server.operations.create_work_pool import create_work_pool
from penstock.server.operations.create_work_queue import create_work_queue
from penstock.server.operations.delete_work_pool import delete_work_pool
from penstock.server.operations.delete_work_queue import delete_work_queue
from penstock.server.operations.delete_worker import delete_worker
from penstock.server.operations.read_waiting_runs import read_waiting_runs_of_pool
from penstock.server.operations.read_workers import read_workers
from penstock.server.operations.record_worker_heartbeat import record_worker_heartbeat
from penstock.server.operations.update_work_pool import update_work_pool
from penstock.server.operations.update_work_queue import update_work_queue

router = APIRouter(prefix="/work_pools", tags=["Work pools"])


@router.post("/", response_model=WorkPool, status_code=201)
async def create(asked: WorkPoolCreate, database: TheDatabase) -> Response:
    return answer(await database.write(create_work_pool, asked), 201)


@router.post("/filter", response_model=list[WorkPool])
async def read_many(database: TheDatabase, asked: Annotated[WorkPoolList | None, Body()] = None) -> Response:
    return answer(await database.read(read_work_pools.read_work_pools, asked or WorkPoolList()))


@router.post("/count", response_model=int)
async def count(database: TheDatabase, asked: Annotated[WorkPoolCount | None, Body()] = None) -> Response:
    return answer(await database.read(read_work_pools.count_work_pools, asked or WorkPoolCount()))


@router.get("/{name}", response_model=WorkPool)
async def read(name: str, database: TheDatabase) -> Response:
    return answer(await database.read(read_work_pools.read_work_pool, name))


@router.patch("/{name}", status_code=204)
async def update(name: str, change: WorkPoolUpdate, database: TheDatabase) -> Response:
    await database.write(update_work_pool, name, change)
    return no_content()


@router.delete("/{name}", status_code=204)
async def delete(name: str, database: TheDatabase) -> Response:
    await database.write(delete_work_pool, name)
    return no_content()


@router.post("/{name}/get_scheduled_flow_runs", response_model=list[PoolRun])
async def read_runs(
    name: str, database: TheDatabase, asked: Annotated[PoolRunsQuery | None, Body()] = None
) -> Response:
    return answer(await database.write(read_waiting_runs_of_pool, name, asked or PoolRunsQuery()))


@router.post("/{pool}/queues", response_model=WorkQueue, status_code=201)
async def create_queue(pool: str, asked: WorkQueueCreate, database: TheDatabase) -> Response:
    return answer(await database.write(create_work_queue, asked, pool), 201)


@router.post("/{pool}/queues/filter", response_model=list[WorkQueue])
async def read_queues(
    pool: str, database: TheDatabase, asked: Annotated[WorkQueueList | None, Body()] = None
) -> Response:
    return answer(await database.read(read_work_queues.read_work_queues, asked or WorkQueueList(), pool))


@router.get("/{pool}/queues/{name}", response_model=WorkQueue)
async def read_queue(pool: str, name: str, database: TheDatabase) -> Response:
    return answer(await database.read(read_work_queues.read_work_queue_by_name, name, pool))


@router.patch("/{pool}/queues/{name}", status_code=204)
async def update_queue(pool: str, name: str, change: WorkQueueUpdate, database: TheDatabase) -> Response:
    def update_by_name(tx: Transaction) -> None:
        update_work_queue(tx, read_work_queues.read_work_queue_by_name(tx, name, pool).id, change)

    await database.write(update_by_name)
    return no_content()


@router.delete("/{pool}/queues/{name}", status_code=204)
async def delete_queue(pool: str, name: str, database: TheDatabase) -> Response:
    def delete_by_name(tx: Transaction) -> None:
        delete_work_queue(tx, read_work_queues.read_work_queue_by_name(tx, name, pool).id)

    await database.write(delete_by_name)
    return no_content()


@router.post("/{pool}/workers/heartbeat", status_code=204)
async def heartbeat(pool: str, worker: WorkerHeartbeat, database: TheDatabase) -> Response:
    await database.write(record_worker_heartbeat, pool, worker)
    return no_content()


@router.post("/{pool}/workers/filter", response_model=list[Worker])
async def read_many_workers(
    pool: str, database: TheDatabase, asked: Annotated[WorkerList | None, Body()] = None
) -> Response:
    return answer(await database.read(read_workers, pool, asked or WorkerList()))


@router.delete("/{pool}/workers/{name}", status_code=204)
async def delete_one_worker(pool: str, name: str, database: TheDatabase) -> Response:
    await database.write(delete_worker, pool, name)
    return no_content()
