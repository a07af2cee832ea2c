from uuid import UUID

import sqlalchemy as sa

from penstock.server.database.connection import Transaction
from penstock.server.database.tables import flow_run_input
from penstock.server.operations.check_attempt_credential import check_attempt_credential
from penstock.server.operations.read_flow_run_inputs import no_input


def delete_flow_run_input(
    tx: Transaction, flow_run_id: UUID, key: str, *, attempt: tuple[UUID, str] | None = None
) -> None:
    """Raises NotFound, and Refused ``attempt_superseded``."""
    if attempt is not None:
        check_attempt_credential(tx, *attempt)
    c = flow_run_input.c
    if tx.execute(sa.delete(flow_run_input).where(c.flow_run_id == flow_run_id, c.key == key)).rowcount == 0:
        raise no_input(flow_run_id, key)
