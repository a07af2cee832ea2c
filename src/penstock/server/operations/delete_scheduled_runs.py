import sqlalchemy as sa

from penstock.model.states import StateType
from penstock.server.database import tables as t
from penstock.server.database.connection import Transaction
from penstock.server.operations.change_counter import change_counters
from penstock.server.operations.record_flow_run_state import COUNTER


def delete_scheduled_runs(tx: Transaction, condition: sa.ColumnElement[bool]) -> int:
    """Delete the runs that fulfil `condition` and were never launched. Returns how many."""
    run = t.flow_run.c
    planned = sa.and_(run.state_type == StateType.SCHEDULED, run.attempt_count == 0, run.start_time.is_(None))
    deleted = tx.execute(t.flow_run.delete().where(planned, condition)).rowcount
    if deleted:
        change_counters(tx, {COUNTER.format(StateType.SCHEDULED.value): -deleted})
    return deleted
