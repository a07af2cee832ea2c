"""Bundles of flow code as the server keeps them. What is in one: see `penstock.storage.bundle_packing`."""

import re
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, Field

from penstock.model.base import Data, Request, Stored
from penstock.model.filters import Page

#: The slug of the block type by which a deployment refers to its bundle.
BUNDLE_SLUG = "bundle"
#: Bytes in which archives are passed on and kept.
PART_SIZE = 1024 * 1024

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def check_digest(digest: str) -> str:
    """Return `digest`, or raise ValueError unless it is ``sha256:`` and 64 hexadecimal digits in lower case."""
    if not _DIGEST.fullmatch(digest):
        raise ValueError(f"{digest!r} is no digest of a bundle: write sha256: and 64 hexadecimal digits")
    return digest


Digest = Annotated[str, AfterValidator(check_digest)]


def largest_archive(size: int, files: int) -> int:
    """The most bytes that the unpacked archive of so many bytes in so many files can have: names and padding included."""
    return size + files * 12 * 1024 + 32 * 1024


class Bundle(Stored):
    """`digest` is the SHA-256 of the archive before it is compressed, `size` the bytes of its files, `archive_size` those of
    the compressed archive, `project` the name of the folder that was packed."""

    digest: str
    project: str | None = None
    files: int
    size: int
    archive_size: int
    last_used: AwareDatetime


class BundleOffer(Request):
    """Body of ``POST /bundles/offer``: what somebody could send."""

    digest: Digest
    files: int = Field(ge=0)
    size: int = Field(ge=0)
    project: str | None = Field(default=None, max_length=255)


class BundleOfferAnswer(Data):
    """`bundle`: what the server has already; None if the archive is to be sent."""

    bundle: Bundle | None = None


class BundleUser(Data):
    """A deployment that uses a bundle."""

    id: UUID
    name: str
    flow_name: str


class BundleDetails(Bundle):
    """A bundle with the deployments that use it now."""

    deployments: list[BundleUser] = Field(default_factory=list)


class BundleQuery(Page):
    """Body of ``POST /bundles/filter``, newest first. `digest_prefix`: only those that begin so, with or without ``sha256:``."""

    digest_prefix: str | None = None
