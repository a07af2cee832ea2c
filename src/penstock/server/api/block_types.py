"""Block types, and the documents of a type by name."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Response

from penstock.model.block_documents import BlockDocument
from penstock.model.block_filters import BlockTypeList
from penstock.model.block_types import BlockType, BlockTypeCreate, BlockTypeUpdate
from penstock.server.api.answers import answer, no_content, page
from penstock.server.api.block_documents import only_one_by_one
from penstock.server.api.dependencies import OnlyByAttempt, TheDatabase
from penstock.server.operations import read_block_documents, read_block_types
from penstock.server.operations.create_block_type import create_block_type
from penstock.server.operations.delete_block_type import delete_block_type
from penstock.server.operations.install_system_block_types import install_system_block_types
from penstock.server.operations.update_block_type import update_block_type

router = APIRouter(prefix="/block_types", tags=["Block types"])


@router.post("/", response_model=BlockType, status_code=201)
async def create(asked: BlockTypeCreate, database: TheDatabase) -> Response:
    return answer(await database.write(create_block_type, asked), 201)


@router.post("/filter", response_model=list[BlockType])
async def read_many(database: TheDatabase, asked: Annotated[BlockTypeList | None, Body()] = None) -> Response:
    return page(*await database.read(read_block_types.read_block_types, asked or BlockTypeList()))


@router.post("/install_system_block_types")
async def install_system(database: TheDatabase) -> Response:
    await database.write(install_system_block_types)
    return answer(None)


@router.get("/slug/{slug}", response_model=BlockType)
async def read_by_slug(slug: str, database: TheDatabase) -> Response:
    return answer(await database.read(read_block_types.read_block_type_by_slug, slug))


@router.get("/slug/{slug}/block_documents", response_model=list[BlockDocument])
async def read_documents(
    slug: str, database: TheDatabase, by_attempt: OnlyByAttempt, include_secrets: bool = False
) -> Response:
    if include_secrets and by_attempt:
        raise only_one_by_one()
    read = read_block_documents.read_block_documents_by_type
    return answer(await database.read(read, slug, include_secrets))


@router.get("/slug/{slug}/block_documents/name/{name}", response_model=BlockDocument)
async def read_document(slug: str, name: str, database: TheDatabase, include_secrets: bool = False) -> Response:
    read = read_block_documents.read_block_document_by_name
    return answer(await database.read(read, slug, name, include_secrets))


@router.get("/{id}", response_model=BlockType)
async def read(id: UUID, database: TheDatabase) -> Response:  # noqa: A002
    return answer(await database.read(read_block_types.read_block_type, id))


@router.patch("/{id}", status_code=204)
async def update(id: UUID, change: BlockTypeUpdate, database: TheDatabase) -> Response:  # noqa: A002
    await database.write(update_block_type, id, change)
    return no_content()


@router.delete("/{id}", status_code=204)
async def delete(id: UUID, database: TheDatabase) -> Response:  # noqa: A002
    await database.write(delete_block_type, id)
    return no_content()
