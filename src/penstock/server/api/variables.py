from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response

from penstock.model.variables import Variable, VariableCount, VariableCreate, VariableQuery, VariableUpdate
from penstock.server.api.answers import answer, no_content, page
from penstock.server.api.dependencies import TheDatabase
from penstock.server.operations.create_variable import create_variable
from penstock.server.operations.delete_variable import delete_variable, delete_variable_by_name
from penstock.server.operations.read_variables import (
    count_variables,
    read_variable,
    read_variable_by_name,
    read_variables,
)
from penstock.server.operations.update_variable import update_variable, update_variable_by_name

router = APIRouter(prefix="/variables", tags=["Variables"])
VariableId = Annotated[UUID, Path(alias="id")]


@router.post("/", response_model=Variable, status_code=201)
async def create(body: VariableCreate, database: TheDatabase) -> Response:
    return answer(await database.write(create_variable, body), 201)


@router.post("/filter", response_model=list[Variable])
async def read_many(database: TheDatabase, body: VariableQuery | None = None) -> Response:
    return page(*await database.read(read_variables, body or VariableQuery()))


@router.post("/count", response_model=int)
async def count(database: TheDatabase, body: VariableCount | None = None) -> Response:
    return answer(await database.read(count_variables, body or VariableCount()))


@router.get("/name/{name}", response_model=Variable)
async def read_by_name(name: str, database: TheDatabase) -> Response:
    return answer(await database.read(read_variable_by_name, name))


@router.patch("/name/{name}", status_code=204)
async def update_by_name(name: str, body: VariableUpdate, database: TheDatabase) -> Response:
    await database.write(update_variable_by_name, name, body)
    return no_content()


@router.delete("/name/{name}", status_code=204)
async def delete_by_name(name: str, database: TheDatabase) -> Response:
    await database.write(delete_variable_by_name, name)
    return no_content()


@router.get("/{id}", response_model=Variable)
async def read(variable_id: VariableId, database: TheDatabase) -> Response:
    return answer(await database.read(read_variable, variable_id))


@router.patch("/{id}", status_code=204)
async def update(variable_id: VariableId, body: VariableUpdate, database: TheDatabase) -> Response:
    await database.write(update_variable, variable_id, body)
    return no_content()


@router.delete("/{id}", status_code=204)
async def delete(variable_id: VariableId, database: TheDatabase) -> Response:
    await database.write(delete_variable, variable_id)
    return no_content()
