from uuid import UUID

import sqlalchemy as sa

from penstock.errors import Conflict
from penstock.model.base import new_id
from penstock.model.flow_run_inputs import FlowRunInputCreate
from penstock.server.database.connection import Transaction
from penstock.server.database.inserts import insert_if_absent
from penstock.server.database.rows import clean
from penstock.server.database.tables import flow_run_input
from penstock.server.operations.check_attempt_credential import check_attempt_credential
from penstock.server.operations.lock_flow_run import lock_flow_run


def create_flow_run_input(
    tx: Transaction, flow_run_id: UUID, asked: FlowRunInputCreate, *, attempt: tuple[UUID, str] | None = None
) -> None:
    """Keep an input for the run. Sent twice with one id, it is kept once.

    Raises NotFound if there is no such run, Conflict if the key is taken, and Refused ``attempt_superseded``.
    """
    if attempt is not None:
        check_attempt_credential(tx, *attempt)
    lock_flow_run(tx, flow_run_id)
    values = {
        "id": asked.id or new_id(),
        "created": tx.now,
        "updated": tx.now,
        "flow_run_id": flow_run_id,
        "key": asked.key,
        "value": clean(asked.value),
        "sender": asked.sender,
    }
    if insert_if_absent(tx, flow_run_input, values):
        tx.notify(f"run:{flow_run_id}")
    elif not _is_the_same(tx, flow_run_id, asked):
        raise Conflict(
            f"The run has an input {asked.key!r} already.",
            code="input_exists",
            hint="Send it under another key, or delete the one that is there.",
        )


def _is_the_same(tx: Transaction, flow_run_id: UUID, asked: FlowRunInputCreate) -> bool:
    c = flow_run_input.c
    known = sa.select(c.id).where(c.flow_run_id == flow_run_id, c.key == asked.key)
    return asked.id is not None and tx.execute(known).scalar_one_or_none() == asked.id
