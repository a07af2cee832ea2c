from uuid import UUID

from penstock.server.database.connection import Transaction
from penstock.server.operations.plan_runs import plan_runs
from penstock.server.operations.read_deployments import read_deployment


def plan_deployment(tx: Transaction, deployment_id: UUID) -> None:
    """Plan the next runs of a deployment's active schedules, without waiting for the scheduler. Raises NotFound."""
    plan_runs(tx, [schedule.id for schedule in read_deployment(tx, deployment_id).schedules])
