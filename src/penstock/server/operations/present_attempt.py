"""The engine shows its token: the fence before user code."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock.errors import Refused
from penstock.model.attempts import AttemptStatus, InfrastructureDocument, Presentation, Presented
from penstock.model.bundles import BUNDLE_SLUG
from penstock.model.states import TERMINAL, StateType
from penstock.server.database.attempts import lock_run_and_attempt
from penstock.server.database.connection import Transaction
from penstock.server.database.statements import update_and_read
from penstock.server.database.tables import attempt
from penstock.server.operations.check_attempt_credential import check_attempt_token, superseded
from penstock.server.operations.read_attempts import attempt_from
from penstock.server.operations.run_surroundings import Surroundings


def present_attempt(tx: Transaction, attempt_id: UUID, presentation: Presentation) -> Presented:
    """Let the engine process `presentation.instance_id` run the attempt; asked again by the same process, the same
    answer.

    Raises NotAuthorized for a token that is not the attempt's, Refused ``attempt_superseded`` if the attempt is over or
    is to be
    stopped or its run is, Refused ``attempt_taken`` if another process presented the token first.
    """
    check_attempt_token(attempt_id, presentation.token)
    found = lock_run_and_attempt(tx, attempt_id)
    if found is None or found[1].status == AttemptStatus.ENDED:
        raise superseded(attempt_id)
    run, row = found
    state = StateType(run.state_type)
    if state in TERMINAL or state is StateType.CANCELLING or row.cancel_requested_at is not None:
        raise superseded(attempt_id)
    if row.number != run.attempt_count:
        raise superseded(attempt_id)
    if row.instance_id is not None and row.instance_id != presentation.instance_id:
        raise Refused(
            f"Another process runs attempt {attempt_id} already",
            code="attempt_taken",
            hint="The platform started this job twice. This process must stop before any user code.",
            status=409,
        )
    if row.instance_id is None:
        row = _take(tx, row, presentation)
        tx.notify(f"attempt-started:{row.agent_id}")
    around = Surroundings(tx)
    deployment = around.deployment(run.deployment_id)
    storage = around.document(deployment.storage_document_id, "storage") if deployment else None
    return Presented(
        attempt=attempt_from(_grant_bundle(tx, row, storage)),
        flow_run=around.flow_runs([run.id])[run.id],
        flow=around.flow(run.flow_id),
        deployment=deployment,
        storage=storage,
    )


def _grant_bundle(tx: Transaction, row: sa.Row[Any], storage: InfrastructureDocument | None) -> sa.Row[Any]:
    """Note which bundle the engine is told to fetch, so that it still may when the deployment is changed meanwhile."""
    digest = storage.data.get("digest") if storage is not None and storage.slug == BUNDLE_SLUG else None
    return row if digest == row.bundle_digest else update_and_read(tx, attempt, row.id, {"bundle_digest": digest})


def _take(tx: Transaction, row: sa.Row[Any], presentation: Presentation) -> sa.Row[Any]:
    values = {
        "instance_id": presentation.instance_id,
        "status": AttemptStatus.RUNNING.value,
        "running_at": tx.now,
        "last_reported_at": tx.now,
        "waiting_for": None,
        "phase": None,
        "message": None,
        "updated": tx.now,
    }
    if row.started_at is None:
        values["started_at"] = tx.now
    return update_and_read(tx, attempt, row.id, values)
