"""Attempts as they are read."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock.errors import NotFound
from penstock.model.attempts import Attempt
from penstock.server.database.connection import Transaction
from penstock.server.database.tables import attempt, flow_run


def attempt_from(row: sa.Row[Any]) -> Attempt:
    return Attempt.model_validate(row._mapping)


def read_attempt(tx: Transaction, attempt_id: UUID) -> Attempt:
    """Raises NotFound."""
    row = tx.execute(sa.select(attempt).where(attempt.c.id == attempt_id)).one_or_none()
    if row is None:
        raise NotFound(f"There is no attempt {attempt_id}")
    return attempt_from(row)


def read_attempts(tx: Transaction, flow_run_id: UUID) -> list[Attempt]:
    """All attempts of a run, by number. Raises NotFound if there is no such run."""
    rows = tx.execute(sa.select(attempt).where(attempt.c.flow_run_id == flow_run_id).order_by(attempt.c.number)).all()
    if not rows and tx.execute(sa.select(flow_run.c.id).where(flow_run.c.id == flow_run_id)).one_or_none() is None:
        raise NotFound(f"There is no flow run {flow_run_id}", hint="List the runs: penstock flow-run ls")
    return [attempt_from(row) for row in rows]
