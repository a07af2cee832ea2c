"""The first states of many planned runs at once: what `insert_flow_run` does for one, in two statements for all."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock.model.base import JSONObject, new_id
from penstock.model.states import State, StateDetails, StateType
from penstock.server.database.bulk import insert_many
from penstock.server.database.connection import Transaction
from penstock.server.database.rows import state_values
from penstock.server.database.tables import flow_run, flow_run_state
from penstock.server.operations.change_counter import change_counters
from penstock.server.operations.insert_flow_run import DEFAULTS
from penstock.server.operations.queue_notifications import queue_notifications
from penstock.server.operations.record_flow_run_state import COUNTER
from penstock.server.rules.names import two_words


@dataclass(frozen=True)
class PlannedRun:
    """A run to be made of a schedule, for `time`. `source`: a row of deployment, with its `schedule_id`,
    `schedule_parameters` and `schedule_name`."""

    source: sa.Row[Any]
    time: datetime


@dataclass(frozen=True)
class _New:
    """What telling of a new run asks of its row: it is in no state yet."""

    id: UUID
    tags: list[str]
    state_type: None = None
    state_name: None = None


def insert_planned_runs(tx: Transaction, planned: Sequence[PlannedRun]) -> None:
    """Insert runs that wait for their time. None of them may be there already."""
    states = [_first_state(tx, run) for run in planned]
    runs = [_run_values(tx, run, state) for run, state in zip(planned, states, strict=True)]
    insert_many(tx, flow_run, runs)
    insert_many(
        tx,
        flow_run_state,
        [{"flow_run_id": run["id"], **state_values(state)} for run, state in zip(runs, states, strict=True)],
    )
    change_counters(tx, {COUNTER.format(StateType.SCHEDULED.value): len(runs)})
    for run, state in zip(runs, states, strict=True):
        queue_notifications(tx, _New(run["id"], run["tags"]), state)
    for queue_id in {run["work_queue_id"] for run in runs}:
        tx.notify(f"queue:{queue_id}")


def _first_state(tx: Transaction, run: PlannedRun) -> State:
    details = StateDetails(scheduled_time=run.time, flow_run_id=new_id())
    return State(type=StateType.SCHEDULED, timestamp=tx.now, state_details=details)


def _run_values(tx: Transaction, run: PlannedRun, state: State) -> JSONObject:
    source = run.source
    return {
        **DEFAULTS,
        "id": state.state_details.flow_run_id,
        "created": tx.now,
        "updated": tx.now,
        "name": two_words(secrets.randbits(40)),
        "flow_id": source.flow_id,
        "deployment_id": source.id,
        "deployment_version": source.version,
        "work_queue_id": source.work_queue_id,
        "work_queue_name": source.work_queue_name,
        "infrastructure_document_id": source.infrastructure_document_id,
        "parameters": {**source.parameters, **source.schedule_parameters},
        "tags": source.tags,
        "idempotency_key": f"scheduled {source.schedule_id} {run.time.isoformat()}",
        "auto_scheduled": True,
        "schedule_id": source.schedule_id,
        "created_by": {
            "id": str(source.schedule_id),
            "type": "SCHEDULE",
            "display_value": source.schedule_name or source.name,
        },
        "state_id": state.id,
        "state_type": state.type.value,
        "state_name": state.name,
        "state_timestamp": state.timestamp,
        "expected_start_time": run.time,
        "next_scheduled_start_time": run.time,
    }
