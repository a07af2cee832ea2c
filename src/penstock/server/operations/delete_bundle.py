"""Delete bundles: one that somebody names, and those that nobody has used for long."""

from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa

from penstock.errors import Conflict
from penstock.server.database.connection import Transaction
from penstock.server.database.tables import bundle, bundle_part
from penstock.server.database.turns import take_turn
from penstock.server.operations.read_bundles import bundle_users, read_bundle, used_digests

#: How many users of a bundle an error names.
NAMED = 3
#: Bundles that are removed at once.
BATCH = 20
#: Hours after which the parts of an upload that was never finished are removed.
UPLOAD_HOURS = 24
#: A bundle that is in use is noted as used at most so often, in hours.
NOTE_HOURS = 1


def delete_bundle(tx: Transaction, digest: str) -> None:
    """Raises NotFound; Conflict, naming them, while deployments use it or a run that is not over does."""
    found = read_bundle(tx, digest)
    users = [f"{user.flow_name}/{user.name}" for user in bundle_users(tx).get(digest, [])]
    if users:
        more = f" and {len(users) - NAMED} more" if len(users) > NAMED else ""
        raise Conflict(
            f"The bundle is used by {', '.join(users[:NAMED])}{more}.",
            code="bundle_in_use",
            hint="Apply these deployments with other code, or delete them, first.",
        )
    if digest in used_digests(tx):
        raise Conflict(
            "The bundle is used by a run that is not over, or by a saved block.",
            code="bundle_in_use",
            hint="Wait for the run to end, or delete the block.",
        )
    _remove(tx, [found.id])


def remove_unused_bundles(tx: Transaction, days: float) -> int:
    """Remove one batch of bundles that nobody has used for so many days, and of uploads that came to nothing.

    Returns how many went; none if another server is at it.
    """
    if not take_turn(tx, "bundles"):
        return 0
    used = used_digests(tx)
    noted = tx.now - timedelta(hours=NOTE_HOURS)
    rows = tx.execute(
        sa.select(bundle.c.id, bundle.c.digest, bundle.c.last_used).where(bundle.c.last_used < noted)
    ).all()
    still = [row.id for row in rows if row.digest in used]
    if still:
        tx.execute(sa.update(bundle).where(bundle.c.id.in_(still)).values(last_used=tx.now))
    limit = tx.now - timedelta(days=days)
    gone = [row.id for row in rows if row.digest not in used and row.last_used < limit][:BATCH]
    _remove(tx, gone)
    return len(gone) + _remove_lost_uploads(tx)


def _remove(tx: Transaction, ids: Collection[UUID]) -> None:
    if ids:
        tx.execute(sa.delete(bundle).where(bundle.c.id.in_(ids)))
        tx.execute(sa.delete(bundle_part).where(bundle_part.c.bundle_id.in_(ids)))


def _remove_lost_uploads(tx: Transaction) -> int:
    whole = sa.exists().where(bundle.c.id == bundle_part.c.bundle_id)
    lost = (
        sa.select(bundle_part.c.bundle_id)
        .where(bundle_part.c.created < tx.now - timedelta(hours=UPLOAD_HOURS), ~whole)
        .distinct()
        .limit(BATCH)
    )
    ids = list(tx.execute(lost).scalars())
    _remove(tx, ids)
    return len(ids)
