from uuid import UUID

import sqlalchemy as sa

from penstock.model.flow_runs import FlowRun
from penstock.server.database.connection import Transaction
from penstock.server.database.rows import SELECT_FLOW_RUN, flow_run_from
from penstock.server.database.tables import flow_run
from penstock.server.operations.lock_flow_run import no_flow_run

_BY_ID = SELECT_FLOW_RUN.where(flow_run.c.id == sa.bindparam("flow_run_id"))


def read_flow_run(tx: Transaction, flow_run_id: UUID) -> FlowRun:
    """The flow run with its state. Raises NotFound."""
    row = tx.execute(_BY_ID, {"flow_run_id": flow_run_id}).one_or_none()
    if row is None:
        raise no_flow_run(flow_run_id)
    return flow_run_from(row, tx.now)
