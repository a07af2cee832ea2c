"""Apply what an engine reports: task runs, their states and logs, in numbered batches.

One transaction, few statements, whatever the size of the batch. A batch that was applied before changes nothing.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock.errors import Conflict, NotFound
from penstock.model.reports import ReportBatch, ReportReceipt, TaskRunReport
from penstock.model.states import StateType
from penstock.server.database.bulk import insert_many, update_many
from penstock.server.database.connection import Transaction
from penstock.server.database.statements import insert_row, update_row
from penstock.server.database.tables import attempt as attempt_table
from penstock.server.database.tables import flow_run, report_stream, task_run, task_run_state
from penstock.server.operations.cancelled_subflows import cancelled_subflows
from penstock.server.operations.check_attempt_credential import check_attempt_credential
from penstock.server.operations.create_logs import create_logs
from penstock.server.operations.create_task_run import task_run_values
from penstock.server.operations.lock_flow_run import no_flow_run
from penstock.server.operations.remember_cached_states import CachedState, remember_cached_states
from penstock.server.operations.settle_slots import settle_slots
from penstock.server.rules.reported_states import Standing, follow

#: The columns of a task run that its states change: what a report may bring up to date.
_CHANGING = (
    "name",
    "state_id",
    "state_type",
    "state_name",
    "state_timestamp",
    "run_count",
    "expected_start_time",
    "next_scheduled_start_time",
    "start_time",
    "end_time",
    "total_run_time",
)

_STATE_TYPE = sa.select(flow_run.c.state_type).where(flow_run.c.id == sa.bindparam("flow_run_id"))
_TAKEN = (
    sa.select(report_stream.c.sequence).where(report_stream.c.stream == sa.bindparam("stream_id")).with_for_update()
)
_NEXT = sa.update(report_stream).where(report_stream.c.stream == sa.bindparam("stream_id"))


def apply_reports(tx: Transaction, batch: ReportBatch, *, attempt: tuple[UUID, str] | None = None) -> ReportReceipt:
    """Apply `batch` unless it was applied before.

    Raises Conflict ``report_gap`` if a batch before it is missing, NotFound if the run is gone, and Refused ``attempt_superseded``.
    """
    speaker = check_attempt_credential(tx, *attempt) if attempt is not None else None
    state_type = tx.execute(_STATE_TYPE, {"flow_run_id": batch.flow_run_id}).one_or_none()
    if state_type is None:
        raise no_flow_run(batch.flow_run_id)
    known = _advance(tx, batch)
    if known is None:
        try:
            reported = _apply_task_runs(tx, batch)
        except sa.exc.IntegrityError as error:
            raise NotFound(
                "A task run of the batch belongs to a flow run that does not exist", code="flow_run_not_found"
            ) from error
        settle_slots(tx, batch.flow_run_id, reported)
        create_logs(tx, batch.logs, batch.flow_run_id)
        tx.notify(f"run:{batch.flow_run_id}")
    if speaker is not None:
        update_row(tx, attempt_table, speaker.id, {"last_reported_at": tx.now})
    stop = state_type[0] in (StateType.CANCELLING, StateType.CANCELLED)
    ordered = speaker is not None and speaker.cancel_requested_at is not None
    paused = state_type[0] == StateType.PAUSED
    return ReportReceipt(
        stream=batch.stream,
        sequence=known or batch.sequence,
        cancel=stop or ordered,
        cancel_subflows=cancelled_subflows(tx, batch.flow_run_id),
        paused=paused,
    )


def _advance(tx: Transaction, batch: ReportBatch) -> int | None:
    """Take the batch's number: None if it is the next one, the highest known if it was taken before."""
    last = tx.execute(_TAKEN, {"stream_id": batch.stream}).scalar_one_or_none() or 0
    if batch.sequence <= last:
        return int(last)
    if batch.sequence != last + 1:
        raise Conflict(
            f"Batch {batch.sequence} of stream {batch.stream} came, but the server has only {last}",
            code="report_gap",
            hint=f"Send batch {last + 1} and what follows.",
        )
    values = {"sequence": batch.sequence, "updated": tx.now}
    if last == 0:
        insert_row(tx, report_stream, {"stream": batch.stream, "flow_run_id": batch.flow_run_id, **values})
    else:
        tx.execute(_NEXT, {"stream_id": batch.stream, **values})
    return None


def _apply_task_runs(tx: Transaction, batch: ReportBatch) -> dict[UUID, dict[str, Any]]:
    """Returns the task runs of the batch, by id, as they are now."""
    if not batch.task_runs:
        return {}
    known = _read_known(tx, batch.task_runs)
    fresh: dict[UUID, dict[str, Any]] = {}
    changed: dict[UUID, dict[str, Any]] = {}
    states: list[dict[str, Any]] = []
    for report in batch.task_runs:
        row = known.get(report.task_run_id)
        if row is None:
            if report.create is None:
                continue  # its row was deleted: there is nothing left to tell about it
            row = _blank(tx, batch, report)
            fresh[report.task_run_id] = row
            known[report.task_run_id] = row
        elif report.task_run_id not in fresh:
            changed[report.task_run_id] = row
        states += follow(Standing(row), report, row["flow_run_id"], tx.now)
    _insert_task_runs(tx, list(fresh.values()))
    update_many(tx, task_run, [_changes(tx, row) for row in changed.values()])
    insert_many(tx, task_run_state, states, unless=("id",))
    remember_cached_states(tx, _cached_in(states))
    return known


def _cached_in(states: Sequence[dict[str, Any]]) -> Iterator[CachedState]:
    """Those of the reported states whose result other task runs may take over."""
    for row in states:
        key = row["state_details"].get("cache_key")
        if key and row["type"] == StateType.COMPLETED and row["name"] != "Cached":
            until = row["state_details"].get("cache_expiration")
            yield CachedState(key, row["id"], datetime.fromisoformat(until) if until else None)


def _read_known(tx: Transaction, reports: Sequence[TaskRunReport]) -> dict[UUID, dict[str, Any]]:
    ids = list({report.task_run_id for report in reports})
    columns = [task_run.c.id, task_run.c.flow_run_id, *(task_run.c[name] for name in _CHANGING)]
    rows = tx.execute(sa.select(*columns).where(task_run.c.id.in_(ids)))
    return {row.id: dict(row._mapping) for row in rows}


def _blank(tx: Transaction, batch: ReportBatch, report: TaskRunReport) -> dict[str, Any]:
    """A row for a task run that is new."""
    assert report.create is not None
    row: dict[str, Any] = dict.fromkeys(_CHANGING)
    row |= task_run_values(tx, report.create, report.task_run_id)
    row["flow_run_id"] = report.create.flow_run_id or batch.flow_run_id
    row["expected_start_time"] = None
    return row


def _changes(tx: Transaction, row: dict[str, Any]) -> dict[str, Any]:
    return {"id": row["id"], "updated": tx.now, **{name: row[name] for name in _CHANGING}}


def _insert_task_runs(tx: Transaction, rows: list[dict[str, Any]]) -> None:
    """Insert all. A call that the run has made before, in an earlier launch, becomes a task run beside the older one."""
    call = ("flow_run_id", "task_key", "dynamic_key")
    if insert_many(tx, task_run, rows, unless=call) == len(rows):
        return
    ids = [row["id"] for row in rows]
    there = set(tx.execute(sa.select(task_run.c.id).where(task_run.c.id.in_(ids))).scalars())
    missing = [row for row in rows if row["id"] not in there]
    again = [{**row, "dynamic_key": f"{row['dynamic_key']}~{row['id'].hex[:8]}"} for row in missing]
    insert_many(tx, task_run, again, unless=call)
