from penstock.model.flow_runs import FlowRun, FlowRunCreate
from penstock.server.database.connection import Transaction
from penstock.server.operations.insert_flow_run import insert_flow_run
from penstock.server.operations.read_flow_run import read_flow_run


def create_flow_run(tx: Transaction, asked: FlowRunCreate) -> tuple[FlowRun, bool]:
    """A run that its caller executes itself, and whether it is new: an idempotency key that was used before finds its run."""
    values = asked.model_dump(exclude={"state", "empirical_policy", "job_variables"})
    values["empirical_policy"] = asked.empirical_policy.model_dump(mode="json")
    values["job_variables"] = asked.job_variables or {}
    row, created = insert_flow_run(tx, values, asked.state)
    return read_flow_run(tx, row.id), created
