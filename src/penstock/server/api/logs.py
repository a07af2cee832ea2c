from fastapi import APIRouter, Response

from penstock.model.filters import LogQuery
from penstock.model.logs import Log, LogCreate
from penstock.server.api.answers import answer, page
from penstock.server.api.dependencies import TheDatabase
from penstock.server.operations.create_logs import create_logs
from penstock.server.operations.read_logs import read_logs

router = APIRouter(prefix="/logs", tags=["Logs"])


@router.post("/", status_code=201)
async def create(body: list[LogCreate], database: TheDatabase) -> Response:
    await database.write(create_logs, body)
    return answer(None, 201)


@router.post("/filter", response_model=list[Log])
async def read_many(database: TheDatabase, body: LogQuery | None = None) -> Response:
    return page(*await database.read(read_logs, body or LogQuery()))
