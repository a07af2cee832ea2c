"""Block documents: saved configuration. Secrets go in and come out only when they are asked for."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Response

from penstock.model.block_documents import BlockDocument, BlockDocumentCreate, BlockDocumentUpdate
from penstock.model.block_filters import BlockDocumentCount, BlockDocumentList
from penstock.server.api.answers import answer, no_content
from penstock.server.api.dependencies import TheDatabase
from penstock.server.operations import read_block_documents
from penstock.server.operations.create_block_document import create_block_document
from penstock.server.operations.delete_block_document import delete_block_document
from penstock.server.operations.update_block_document import update_block_document

router = APIRouter(prefix="/block_documents", tags=["Block documents"])


@router.post("/", response_model=BlockDocument, status_code=201)
async def create(asked: BlockDocumentCreate, database: TheDatabase, include_secrets: bool = False) -> Response:
    return answer(await database.write(create_block_document, asked, include_secrets), 201)


@router.post("/filter", response_model=list[BlockDocument])
async def read_many(database: TheDatabase, asked: Annotated[BlockDocumentList | None, Body()] = None) -> Response:
    return answer(await database.read(read_block_documents.read_block_documents, asked or BlockDocumentList()))


@router.post("/count", response_model=int)
async def count(database: TheDatabase, asked: Annotated[BlockDocumentCount | None, Body()] = None) -> Response:
    return answer(await database.read(read_block_documents.count_block_documents, asked or BlockDocumentCount()))


@router.get("/{id}", response_model=BlockDocument)
async def read(id: UUID, database: TheDatabase, include_secrets: bool = False) -> Response:  # noqa: A002
    return answer(await database.read(read_block_documents.read_block_document, id, include_secrets))


@router.patch("/{id}", status_code=204)
async def update(id: UUID, change: BlockDocumentUpdate, database: TheDatabase) -> Response:  # noqa: A002
    await database.write(update_block_document, id, change)
    return no_content()


@router.delete("/{id}", status_code=204)
async def delete(id: UUID, database: TheDatabase) -> Response:  # noqa: A002
    await database.write(delete_block_document, id)
    return no_content()
