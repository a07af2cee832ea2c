"""Block documents: saved configuration. Secrets go in and come out only when they are asked for, by those who may."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Response

from penstock.errors import NotAuthorized
from penstock.model.block_documents import BlockDocument, BlockDocumentCreate, BlockDocumentUpdate
from penstock.model.block_filters import BlockDocumentCount, BlockDocumentList
from penstock.model.block_keys import DroppedKeys, KeyRotation, KeyRotationStep
from penstock.model.block_users import BlockUsers
from penstock.server.api.answers import answer, no_content, page
from penstock.server.api.dependencies import OnlyByAttempt, TheDatabase
from penstock.server.operations import read_block_documents
from penstock.server.operations.create_block_document import create_block_document
from penstock.server.operations.delete_block_document import delete_block_document
from penstock.server.operations.read_block_users import read_block_users
from penstock.server.operations.rotate_block_keys import drop_old_keys, rotate_block_keys
from penstock.server.operations.update_block_document import update_block_document

router = APIRouter(prefix="/block_documents", tags=["Block documents"])


@router.post("/", response_model=BlockDocument, status_code=201)
async def create(asked: BlockDocumentCreate, database: TheDatabase, include_secrets: bool = False) -> Response:
    return answer(await database.write(create_block_document, asked, include_secrets), 201)


@router.post("/filter", response_model=list[BlockDocument])
async def read_many(
    database: TheDatabase, by_attempt: OnlyByAttempt, body: Annotated[BlockDocumentList | None, Body()] = None
) -> Response:
    asked = body or BlockDocumentList()
    if asked.include_secrets and by_attempt:
        raise only_one_by_one()
    return page(*await database.read(read_block_documents.read_block_documents, asked))


@router.post("/count", response_model=int)
async def count(database: TheDatabase, asked: Annotated[BlockDocumentCount | None, Body()] = None) -> Response:
    return answer(await database.read(read_block_documents.count_block_documents, asked or BlockDocumentCount()))


@router.post("/rotate-keys", response_model=KeyRotationStep)
async def rotate_keys(database: TheDatabase, asked: Annotated[KeyRotation | None, Body()] = None) -> Response:
    """Seal the next documents anew under the newest key; ask again with the answer's cursor until there is none."""
    return answer(await database.write(rotate_block_keys, asked or KeyRotation()))


@router.post("/drop-old-keys", response_model=DroppedKeys)
async def drop_keys(database: TheDatabase) -> Response:
    """Forget the keys, all but the newest, that seal nothing any more."""
    return answer(await database.write(drop_old_keys))


@router.get("/{id}", response_model=BlockDocument)
async def read(id: UUID, database: TheDatabase, include_secrets: bool = False) -> Response:  # noqa: A002
    return answer(await database.read(read_block_documents.read_block_document, id, include_secrets))


@router.get("/{id}/used_by", response_model=BlockUsers)
async def read_users(id: UUID, database: TheDatabase) -> Response:  # noqa: A002
    return answer(await database.read(read_block_users, id))


@router.patch("/{id}", status_code=204)
async def update(id: UUID, change: BlockDocumentUpdate, database: TheDatabase) -> Response:  # noqa: A002
    await database.write(update_block_document, id, change)
    return no_content()


@router.delete("/{id}", status_code=204)
async def delete(id: UUID, database: TheDatabase) -> Response:  # noqa: A002
    await database.write(delete_block_document, id)
    return no_content()


def only_one_by_one() -> NotAuthorized:
    """What an engine is told that asks for the secrets of many blocks at once."""
    return NotAuthorized(
        "The credential of an attempt shows the secrets of blocks that are named one by one, never of a list.",
        code="secrets_one_by_one",
        hint="Load the block by its name, or show the server's key.",
        status=403,
    )
