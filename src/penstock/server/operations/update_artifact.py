from uuid import UUID

import sqlalchemy as sa

from penstock.model.artifacts import ArtifactUpdate
from penstock.server.database.connection import Transaction
from penstock.server.database.rows import clean
from penstock.server.database.statements import update_row
from penstock.server.database.tables import artifact, artifact_collection
from penstock.server.operations.check_attempt_credential import check_attempt_credential
from penstock.server.operations.read_artifacts import no_artifact


def update_artifact(
    tx: Transaction, artifact_id: UUID, change: ArtifactUpdate, *, attempt: tuple[UUID, str] | None = None
) -> None:
    """Change the fields that are given. Raises NotFound, and Refused ``attempt_superseded``."""
    if attempt is not None:
        check_attempt_credential(tx, *attempt)
    values = change.model_dump(exclude_unset=True)
    if "metadata_" in values:
        values["metadata"] = values.pop("metadata_")
    if "description" in values:
        values["description"] = clean(change.description)
    if not update_row(tx, artifact, artifact_id, {**values, "updated": tx.now}):
        raise no_artifact(artifact_id)
    of_its_key = artifact_collection.c.latest_id == artifact_id
    tx.execute(sa.update(artifact_collection).where(of_its_key).values(updated=tx.now))
