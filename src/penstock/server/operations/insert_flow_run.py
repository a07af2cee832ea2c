"""Insert a flow run, once per idempotency key, and give it its first state."""

import secrets
from typing import Any

import sqlalchemy as sa

from penstock.errors import Conflict
from penstock.model.base import new_id
from penstock.model.states import Answer, StateCreate
from penstock.server.database.connection import Transaction
from penstock.server.database.statements import insert_unless
from penstock.server.database.tables import flow_run
from penstock.server.operations.proposed_state import state_of
from penstock.server.operations.write_flow_run_state import write_flow_run_state
from penstock.server.rules.flow_runs import FlowRunFacts, decide
from penstock.server.rules.names import two_words

#: Columns that a new run has unless somebody says otherwise.
DEFAULTS: dict[str, Any] = {
    "parameters": {},
    "context": {},
    "empirical_policy": {},
    "tags": [],
    "job_variables": {},
    "auto_scheduled": False,
    "run_count": 0,
    "total_run_time": 0.0,
    "attempt_count": 0,
    "infra_failures": 0,
}


def insert_flow_run(
    tx: Transaction, values: dict[str, Any], state: StateCreate | None = None
) -> tuple[sa.Row[Any], bool]:
    """The row of the new run and True, or that of the run which has the flow's `idempotency_key` already and False.

    `values`: columns of flow_run. A name is made if there is none. Raises Conflict if the flow or another parent is gone, or if no
    run may start in `state`.
    """
    row = {"id": new_id(), **DEFAULTS, **values, "created": tx.now, "updated": tx.now}
    if not row.get("name"):
        row["name"] = two_words(secrets.randbits(40))
    if state is None:
        row["expected_start_time"] = tx.now
    try:
        inserted = insert_unless(tx, flow_run, row, ("flow_id", "idempotency_key"))
    except sa.exc.IntegrityError as error:
        raise Conflict(
            "The run refers to a flow, deployment or queue that does not exist, or its id is taken",
            code="integrity",
            hint=f"flow_id is {row['flow_id']}, deployment_id is {row.get('deployment_id')}.",
        ) from error
    if inserted is None:
        known = sa.and_(flow_run.c.flow_id == row["flow_id"], flow_run.c.idempotency_key == row["idempotency_key"])
        return tx.execute(sa.select(flow_run).where(known)).one(), False
    if state is not None:
        verdict = decide(None, state, FlowRunFacts(now=tx.now))
        if verdict.answer is not Answer.ACCEPT:
            raise Conflict(f"No run can start as {state.type.value}", code="first_state", hint=verdict.reason)
        write_flow_run_state(tx, inserted, state_of(verdict.write[0], tx.now))
    return inserted, True
