from uuid import UUID

import sqlalchemy as sa

from penstock.errors import Refused
from penstock.model.attempts import AttemptStatus
from penstock.server.database.connection import Transaction
from penstock.server.database.slots import free_slots_of_run
from penstock.server.database.tables import flow_run, log, report_stream
from penstock.server.operations.change_counter import change_counters
from penstock.server.operations.latest_artifacts import find_latest_again, keys_led_by_runs
from penstock.server.operations.lock_flow_run import lock_flow_run, lock_open_attempt
from penstock.server.operations.record_flow_run_state import COUNTER


def delete_flow_run(tx: Transaction, flow_run_id: UUID) -> None:
    """Delete the run with its states, task runs, attempts, artifacts, inputs and logs.

    Raises NotFound, and Refused while a job of it may be running: nobody would remember that job.
    """
    run = lock_flow_run(tx, flow_run_id)
    job = lock_open_attempt(tx, flow_run_id)
    if job is not None and job.status != AttemptStatus.CLAIMED:
        raise Refused(
            f"The run {run.name!r} has a job that may still be running ({job.job_name})",
            code="run_has_job",
            hint=f"Cancel it first: penstock flow-run cancel {run.id}",
        )
    tx.execute(sa.delete(log).where(log.c.flow_run_id == run.id))
    tx.execute(sa.delete(report_stream).where(report_stream.c.flow_run_id == run.id))
    keys = keys_led_by_runs(tx, sa.select(flow_run.c.id).where(flow_run.c.id == run.id))
    free_slots_of_run(tx, run.id)
    tx.execute(sa.delete(flow_run).where(flow_run.c.id == run.id))
    find_latest_again(tx, keys)
    if run.state_type is not None:
        change_counters(tx, {COUNTER.format(run.state_type): -1})
    tx.notify(f"run:{run.id}")
