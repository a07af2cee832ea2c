"""Calls about bundles of flow code."""

import http.client
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.client.call import Call, Upload, given, nothing, segment

if TYPE_CHECKING:
    from penstock.model.bundles import Bundle, BundleDetails, BundleOffer, BundleOfferAnswer

#: Bytes of an answer that are held at a time.
_STEP = 256 * 1024


def offer_bundle(offer: "BundleOffer") -> "Call[BundleOfferAnswer]":
    """Ask whether the server has that bundle. Raises Invalid when sent if it would not take it."""
    return Call("POST", "/bundles/offer", _answer, body=offer)


def upload_bundle(offer: "BundleOffer", archive: Path) -> "Call[Bundle]":
    """Send the archive, a gzip file. Raises Invalid when sent if it is not what the offer says."""
    body = Upload(lambda: archive.open("rb"), archive.stat().st_size, "application/gzip")
    query = {key: str(value) for key, value in offer.model_dump(exclude_none=True).items()}
    return Call("POST", "/bundles/", _bundle, body=body, query=query)


def download_bundle(digest: str, write: Callable[[bytes], None], begin: Callable[[], None]) -> Call[None]:
    """Fetch the archive: `write` gets it piece by piece, and `begin` is called before the first one of each try.

    Raises NotFound when sent, and Refused if the run whose attempt asks has other code. What `write` raises passes through.
    """

    def receive(response: http.client.HTTPResponse) -> None:
        begin()
        expected, arrived = int(response.headers.get("Content-Length", -1)), 0
        while piece := response.read(_STEP):
            arrived += len(piece)
            write(piece)
        if arrived < expected:
            raise http.client.IncompleteRead(b"", expected - arrived)

    return Call("GET", f"/bundles/{segment(digest)}", nothing, receive=receive)


def read_bundle(digest: str) -> "Call[BundleDetails]":
    """The bundle, with the deployments that use it. Raises NotFound when sent."""
    return Call("GET", f"/bundles/{segment(digest)}/details", _details)


def read_bundles(
    *, digest_prefix: str | None = None, limit: int | None = None, offset: int = 0
) -> "Call[list[Bundle]]":
    """Bundles whose digest begins so, newest first."""
    body = given(digest_prefix=digest_prefix, limit=limit, offset=offset)
    return Call("POST", "/bundles/filter", _bundles, body=body)


def delete_bundle(digest: str) -> Call[None]:
    """Raises Conflict when sent, with the names of the deployments that use it."""
    return Call("DELETE", f"/bundles/{segment(digest)}", nothing)


def _answer() -> "type[BundleOfferAnswer]":
    from penstock.model.bundles import BundleOfferAnswer

    return BundleOfferAnswer


def _bundle() -> "type[Bundle]":
    from penstock.model.bundles import Bundle

    return Bundle


def _bundles() -> "type[list[Bundle]]":
    from penstock.model.bundles import Bundle

    return list[Bundle]


def _details() -> "type[BundleDetails]":
    from penstock.model.bundles import BundleDetails

    return BundleDetails
