"""An archive arrives in parts: each is written as it comes, and the bundle is there when the last one is."""

from uuid import UUID

import sqlalchemy as sa

from penstock.model.bundles import Bundle, BundleOffer
from penstock.server.database.connection import Transaction
from penstock.server.database.statements import insert_row, insert_unless
from penstock.server.database.tables import bundle, bundle_part
from penstock.server.operations.read_bundles import read_bundle


def add_bundle_part(tx: Transaction, upload_id: UUID, number: int, content: bytes) -> None:
    values = {"bundle_id": upload_id, "number": number, "created": tx.now, "content": content}
    insert_row(tx, bundle_part, values)


def finish_bundle(tx: Transaction, upload_id: UUID, offer: BundleOffer, archive_size: int) -> tuple[Bundle, bool]:
    """Make a bundle of the parts of an upload whose digest was found true. Returns it, and whether it is new.

    If somebody else has sent the same meanwhile, theirs stays.
    """
    values = {
        "id": upload_id,
        "created": tx.now,
        "updated": tx.now,
        "digest": offer.digest,
        "project": offer.project,
        "files": offer.files,
        "size": offer.size,
        "archive_size": archive_size,
        "last_used": tx.now,
    }
    row = insert_unless(tx, bundle, values, ("digest",))
    if row is not None:
        return Bundle.model_validate(row._mapping), True
    drop_upload(tx, upload_id)
    return read_bundle(tx, offer.digest), False


def drop_upload(tx: Transaction, upload_id: UUID) -> None:
    """Remove the parts of an upload that came to nothing."""
    tx.execute(sa.delete(bundle_part).where(bundle_part.c.bundle_id == upload_id))
