"""Block schemas and what blocks can do."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Response

from penstock.model.block_filters import BlockSchemaList
from penstock.model.block_schemas import BlockSchema, BlockSchemaCreate
from penstock.server.api.answers import answer, no_content, page
from penstock.server.api.dependencies import TheDatabase
from penstock.server.operations import read_block_schemas
from penstock.server.operations.create_block_schema import create_block_schema
from penstock.server.operations.delete_block_schema import delete_block_schema

router = APIRouter(tags=["Block schemas"])


@router.post("/block_schemas/", response_model=BlockSchema, status_code=201)
async def create(asked: BlockSchemaCreate, database: TheDatabase) -> Response:
    """201, or 200 with the schema that is there already."""
    schema, created = await database.write(create_block_schema, asked)
    return answer(schema, 201 if created else 200)


@router.post("/block_schemas/filter", response_model=list[BlockSchema])
async def read_many(database: TheDatabase, asked: Annotated[BlockSchemaList | None, Body()] = None) -> Response:
    return page(*await database.read(read_block_schemas.read_block_schemas, asked or BlockSchemaList()))


@router.get("/block_schemas/checksum/{checksum}", response_model=BlockSchema)
async def read_by_checksum(checksum: str, database: TheDatabase, version: str | None = None) -> Response:
    return answer(await database.read(read_block_schemas.read_block_schema_by_checksum, checksum, version))


@router.get("/block_schemas/{id}", response_model=BlockSchema)
async def read(id: UUID, database: TheDatabase) -> Response:  # noqa: A002
    return answer(await database.read(read_block_schemas.read_block_schema, id))


@router.delete("/block_schemas/{id}", status_code=204)
async def delete(id: UUID, database: TheDatabase) -> Response:  # noqa: A002
    await database.write(delete_block_schema, id)
    return no_content()


@router.get("/block_capabilities/", response_model=list[str])
async def read_capabilities(database: TheDatabase) -> Response:
    return answer(await database.read(read_block_schemas.read_block_capabilities))
