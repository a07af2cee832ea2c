from uuid import UUID

from penstock.errors import NotFound
from penstock.server.database import tables as t
from penstock.server.database.connection import Transaction
from penstock.server.database.statements import lock_row
from penstock.server.operations.delete_scheduled_runs import delete_scheduled_runs


def delete_deployment(tx: Transaction, deployment_id: UUID) -> None:
    """Delete it with its runs that were never launched; those that were keep their history. Raises NotFound."""
    # first of all, so that nobody plans runs for it meanwhile
    if lock_row(tx, t.deployment, deployment_id) is None:
        raise NotFound(f"Deployment not found: {deployment_id}")
    delete_scheduled_runs(tx, t.flow_run.c.deployment_id == deployment_id)
    tx.execute(t.deployment.delete().where(t.deployment.c.id == deployment_id))
