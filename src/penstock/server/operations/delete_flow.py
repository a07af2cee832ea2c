from uuid import UUID

import sqlalchemy as sa

from penstock.errors import Refused
from penstock.model.attempts import AttemptStatus
from penstock.server.database.connection import Transaction
from penstock.server.database.tables import attempt, concurrency_slot, flow, flow_run, log, report_stream
from penstock.server.operations.change_counter import change_counters
from penstock.server.operations.latest_artifacts import find_latest_again, keys_led_by_runs
from penstock.server.operations.read_flow import read_flow
from penstock.server.operations.record_flow_run_state import COUNTER


def delete_flow(tx: Transaction, flow_id: UUID) -> None:
    """Delete the flow with its deployments, runs and their logs.

    Raises NotFound, and Refused while a job of one of its runs may be running.
    """
    found = read_flow(tx, flow_id)
    runs = sa.select(flow_run.c.id).where(flow_run.c.flow_id == flow_id)
    jobs = sa.select(sa.func.count()).where(
        attempt.c.ended_at.is_(None), attempt.c.status != AttemptStatus.CLAIMED.value, attempt.c.flow_run_id.in_(runs)
    )
    if tx.execute(jobs).scalar_one():
        raise Refused(
            f"Runs of the flow {found.name!r} have jobs that may still be running",
            code="run_has_job",
            hint="Cancel these runs first.",
        )
    counts = sa.select(flow_run.c.state_type, sa.func.count().label("runs")).where(flow_run.c.flow_id == flow_id)
    lost = tx.execute(counts.where(flow_run.c.state_type.is_not(None)).group_by(flow_run.c.state_type)).all()
    tx.execute(sa.delete(log).where(log.c.flow_run_id.in_(runs)))
    tx.execute(sa.delete(report_stream).where(report_stream.c.flow_run_id.in_(runs)))
    tx.execute(sa.delete(concurrency_slot).where(concurrency_slot.c.flow_run_id.in_(runs)))
    keys = keys_led_by_runs(tx, runs)
    tx.execute(sa.delete(flow).where(flow.c.id == flow_id))
    find_latest_again(tx, keys)
    change_counters(tx, {COUNTER.format(row.state_type): -row.runs for row in lost})
