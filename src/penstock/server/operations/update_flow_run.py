from typing import Any
from uuid import UUID

from penstock.model.flow_runs import FlowRunUpdate
from penstock.server.database.connection import Transaction
from penstock.server.database.statements import update_row
from penstock.server.database.tables import flow_run
from penstock.server.operations.check_attempt_credential import check_attempt_credential
from penstock.server.operations.lock_flow_run import lock_flow_run


def update_flow_run(
    tx: Transaction, flow_run_id: UUID, asked: FlowRunUpdate, *, attempt: tuple[UUID, str] | None = None
) -> None:
    """Change what is given. Raises NotFound, and Refused ``attempt_superseded``."""
    run = lock_flow_run(tx, flow_run_id)
    if attempt is not None:
        check_attempt_credential(tx, *attempt)
    values: dict[str, Any] = asked.model_dump(mode="json", exclude_unset=True)
    for required in ("name", "parameters", "tags", "job_variables", "empirical_policy"):
        if values.get(required, run) is None:
            del values[required]
    if "empirical_policy" in values:
        values["empirical_policy"] = {**run.empirical_policy, **values["empirical_policy"]}
    update_row(tx, flow_run, run.id, {**values, "updated": tx.now})
    tx.notify(f"run:{run.id}")
