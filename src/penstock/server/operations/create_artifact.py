from uuid import UUID

import sqlalchemy as sa

from penstock.errors import Conflict
from penstock.model.artifacts import Artifact, ArtifactCreate
from penstock.model.base import new_id
from penstock.server.database.connection import Transaction
from penstock.server.database.rows import clean
from penstock.server.database.statements import insert_unless
from penstock.server.database.tables import artifact
from penstock.server.operations.check_attempt_credential import check_attempt_credential
from penstock.server.operations.latest_artifacts import set_latest
from penstock.server.operations.read_artifacts import artifact_from, read_artifact


def create_artifact(tx: Transaction, asked: ArtifactCreate, *, attempt: tuple[UUID, str] | None = None) -> Artifact:
    """The new artifact, which is the newest of its key from now on. Sent twice with one id, it is kept once.

    Raises Conflict if there is no such flow run, and Refused ``attempt_superseded``.
    """
    if attempt is not None:
        check_attempt_credential(tx, *attempt)
    artifact_id = asked.id or new_id()
    values = {
        "id": artifact_id,
        "created": tx.now,
        "updated": tx.now,
        "key": asked.key,
        "type": asked.type,
        "description": clean(asked.description),
        "data": asked.data,
        "metadata": asked.metadata_,
        "flow_run_id": asked.flow_run_id,
        "task_run_id": asked.task_run_id,
    }
    try:
        row = insert_unless(tx, artifact, values, ("id",))
    except sa.exc.IntegrityError as error:
        raise Conflict(
            f"The artifact belongs to a flow run that does not exist: {asked.flow_run_id}.", code="integrity"
        ) from error
    if row is None:
        return read_artifact(tx, artifact_id)
    if asked.key is not None:
        set_latest(tx, asked.key, artifact_id)
    return artifact_from(row)
