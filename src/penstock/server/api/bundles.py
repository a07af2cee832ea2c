"""Bundles of flow code: offered, sent, fetched, listed, deleted."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse

from penstock import settings
from penstock.errors import Invalid
from penstock.model.base import new_id
from penstock.model.bundle_archives import ArrivingArchive, NotThisArchive
from penstock.model.bundles import (
    PART_SIZE,
    Bundle,
    BundleDetails,
    BundleOffer,
    BundleOfferAnswer,
    BundleQuery,
    Digest,
    largest_archive,
)
from penstock.server.api.answers import answer, no_content, page
from penstock.server.api.dependencies import OnlyByAttempt, TheAttempt, TheDatabase
from penstock.server.database.connection import Database
from penstock.server.operations.delete_bundle import delete_bundle
from penstock.server.operations.offer_bundle import offer_bundle
from penstock.server.operations.read_bundles import (
    fetch_bundle,
    find_bundle,
    read_bundle_details,
    read_bundle_part,
    read_bundles,
)
from penstock.server.operations.store_bundle import add_bundle_part, drop_upload, finish_bundle

router = APIRouter(prefix="/bundles", tags=["Bundles"])

#: No limit of the framework's: the setting is the limit, and what is beyond it is refused before it has arrived.
_ANY_SIZE = 2**62


async def _asker(request: Request, attempt: TheAttempt, by_attempt: OnlyByAttempt) -> tuple[UUID, str] | None:
    """The attempt that asks; None for somebody who shows the server's key, or who needs none."""
    return attempt if by_attempt or "authorization" not in request.headers else None


def _limit() -> int:
    return int(float(settings.get("PENSTOCK_BUNDLE_LIMIT_MB")) * 1_000_000)


@router.post("/offer", response_model=BundleOfferAnswer)
async def offer(body: BundleOffer, database: TheDatabase) -> Response:
    """Asked before an archive is sent: what the server has already need not travel."""
    return answer(await database.write(offer_bundle, body, _limit()))


@router.post("/filter", response_model=list[Bundle])
async def read_many(database: TheDatabase, body: BundleQuery | None = None) -> Response:
    return page(*await database.read(read_bundles, body or BundleQuery()))


@router.post("/", response_model=Bundle, status_code=201, max_body_size=_ANY_SIZE)
async def send(request: Request, body: Annotated[BundleOffer, Query()], database: TheDatabase) -> Response:
    """The archive itself: a gzip file. Sent again, it is answered with 200 and what is there already."""
    await database.write(offer_bundle, body, _limit())  # refuses what is too large before it arrives
    found, is_new = await _receive(request, body, database)
    return answer(found, 201 if is_new else 200)


async def _receive(request: Request, body: BundleOffer, database: Database) -> tuple[Bundle, bool]:
    """Write the archive down part by part, and make a bundle of it if it is what its digest says; else leave nothing."""
    upload_id, number, waiting = new_id(), 0, bytearray()
    archive = ArrivingArchive(body.digest, largest_archive(body.size, body.files))
    try:
        async for piece in request.stream():
            waiting += piece
            while len(waiting) >= PART_SIZE:
                part = bytes(waiting[:PART_SIZE])
                del waiting[:PART_SIZE]
                await asyncio.to_thread(deque, archive.feed(part), 0)
                await database.write(add_bundle_part, upload_id, number, part)
                number += 1
        if waiting:
            await asyncio.to_thread(deque, archive.feed(bytes(waiting)), 0)
            await database.write(add_bundle_part, upload_id, number, bytes(waiting))
        archive.finish()
        return await database.write(finish_bundle, upload_id, body, archive.fed)
    except NotThisArchive as error:
        await database.write(drop_upload, upload_id)
        raise Invalid(
            f"What was sent is not the bundle {body.digest}: {error}.",
            code="bundle_too_large" if error.too_large else "bundle_digest_wrong",
            hint="Send it again.",
            status=413 if error.too_large else None,
        ) from None
    except BaseException:
        # also where the sender hung up in the middle
        await asyncio.shield(database.write(drop_upload, upload_id))
        raise


@router.get("/{digest}/details", response_model=BundleDetails)
async def read(digest: Digest, database: TheDatabase) -> Response:
    """The bundle and the deployments that use it."""
    return answer(await database.read(read_bundle_details, digest))


@router.get("/{digest}")
async def fetch(
    digest: Digest, database: TheDatabase, attempt: Annotated[tuple[UUID, str] | None, Depends(_asker)]
) -> Response:
    """The archive. An engine gets that of its own run, others need the server's key."""
    found = await database.read(fetch_bundle, digest, attempt)
    headers = {"Content-Length": str(found.archive_size)}
    return StreamingResponse(_parts(database, found), media_type="application/gzip", headers=headers)


async def _parts(database: Database, bundle: Bundle) -> AsyncIterator[bytes]:
    number = 0
    while (part := await database.read(read_bundle_part, bundle.id, number)) is not None:
        yield part
        number += 1


@router.head("/{digest}")
async def exists(digest: Digest, database: TheDatabase) -> Response:
    """200 or 404."""
    return Response(status_code=200 if await database.read(find_bundle, digest) else 404)


@router.delete("/{digest}", status_code=204)
async def delete(digest: Digest, database: TheDatabase) -> Response:
    await database.write(delete_bundle, digest)
    return no_content()
