from uuid import UUID

import sqlalchemy as sa

from penstock.server.database.connection import Transaction
from penstock.server.database.statements import read_row
from penstock.server.database.tables import artifact, artifact_collection
from penstock.server.operations.latest_artifacts import find_latest_again
from penstock.server.operations.read_artifacts import no_artifact


def delete_artifact(tx: Transaction, artifact_id: UUID) -> None:
    """Delete the artifact; if it was the newest of its key, the one before is. Raises NotFound."""
    row = read_row(tx, artifact, artifact_id)
    if row is None:
        raise no_artifact(artifact_id)
    c = artifact_collection.c
    if row.key is not None:
        tx.execute(sa.select(c.id).where(c.key == row.key).with_for_update())
    tx.execute(sa.delete(artifact).where(artifact.c.id == artifact_id))
    if row.key is not None:
        find_latest_again(tx, [row.key])
