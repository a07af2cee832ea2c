"""Many planned runs at once, each with its first state: what `insert_flow_run` does for one, in two statements for all."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock.model.base import JSONObject
from penstock.model.states import State, StateType
from penstock.server.database.bulk import insert_columns, ordered_ids
from penstock.server.database.connection import Transaction
from penstock.server.database.rows import state_values
from penstock.server.database.tables import flow_run, flow_run_state
from penstock.server.operations.change_counter import change_counters
from penstock.server.operations.insert_flow_run import DEFAULTS
from penstock.server.operations.queue_notifications import queue_notifications
from penstock.server.operations.record_flow_run_state import COUNTER
from penstock.server.rules.names import two_words


@dataclass(frozen=True)
class PlannedRuns:
    """Runs to be made of a schedule, for `times`. `source`: the row of its deployment, with `schedule_id`,
    `schedule_parameters` and `schedule_name`."""

    source: sa.Row[Any]
    times: list[datetime]


@dataclass(frozen=True)
class _New:
    """What telling of a new run asks of its row: it is in no state yet."""

    id: UUID
    tags: list[str]
    state_type: None = None
    state_name: None = None


def insert_planned_runs(tx: Transaction, planned: Sequence[PlannedRuns]) -> None:
    """Insert runs that wait for their time. None of them may be there already."""
    first = State(type=StateType.SCHEDULED, timestamp=tx.now)
    runs: dict[str, list[Any]] = {}
    states: dict[str, list[Any]] = {}
    for one in (one for one in planned if one.times):
        same = _same_for_all(tx, one.source, first)
        own = [_own(one.source, time) for time in one.times]
        for name, value in same.items():
            runs.setdefault(name, []).extend([value] * len(own))
        for values in own:
            for name, value in values.items():
                runs.setdefault(name, []).append(value)
    if not runs:
        return
    count = len(runs["name"])
    runs["id"], runs["state_id"] = ordered_ids(count, tx.now), ordered_ids(count, tx.now)
    for name, value in state_values(first).items():
        states[name] = [value] * count
    states["id"] = runs["state_id"]
    states["flow_run_id"] = runs["id"]
    states["state_details"] = [
        {"flow_run_id": str(run_id), "scheduled_time": time.isoformat()}
        for run_id, time in zip(runs["id"], runs["expected_start_time"], strict=True)
    ]
    insert_columns(tx, flow_run, runs)
    insert_columns(tx, flow_run_state, states)
    change_counters(tx, {COUNTER.format(StateType.SCHEDULED.value): count})
    _tell(tx, runs, first)


def _same_for_all(tx: Transaction, source: sa.Row[Any], first: State) -> JSONObject:
    """The columns in which all runs of a schedule are equal."""
    return {
        **DEFAULTS,
        "created": tx.now,
        "updated": tx.now,
        "flow_id": source.flow_id,
        "deployment_id": source.id,
        "deployment_version": source.version,
        "work_queue_id": source.work_queue_id,
        "work_queue_name": source.work_queue_name,
        "infrastructure_document_id": source.infrastructure_document_id,
        "parameters": {**source.parameters, **source.schedule_parameters},
        "tags": source.tags,
        "auto_scheduled": True,
        "schedule_id": source.schedule_id,
        "created_by": {
            "id": str(source.schedule_id),
            "type": "SCHEDULE",
            "display_value": source.schedule_name or source.name,
        },
        "state_type": first.type.value,
        "state_name": first.name,
        "state_timestamp": first.timestamp,
    }


def _own(source: sa.Row[Any], time: datetime) -> JSONObject:
    return {
        "name": two_words(secrets.randbits(40)),
        "idempotency_key": f"scheduled {source.schedule_id} {time.isoformat()}",
        "expected_start_time": time,
        "next_scheduled_start_time": time,
    }


def _tell(tx: Transaction, runs: dict[str, list[Any]], first: State) -> None:
    for run_id, state_id, tags in zip(runs["id"], runs["state_id"], runs["tags"], strict=True):
        queue_notifications(tx, _New(run_id, tags), first.model_copy(update={"id": state_id}))
    for queue_id in set(runs["work_queue_id"]):
        tx.notify(f"queue:{queue_id}")
