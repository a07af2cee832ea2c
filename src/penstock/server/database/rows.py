"""Rows and models: how a run, its state and its logs lie in the tables, and how they are read back."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock.model.flow_runs import FlowRun
from penstock.model.states import TERMINAL, State, StateDetails, StateType
from penstock.model.task_runs import TaskRun
from penstock.server.database.tables import (
    flow_run,
    flow_run_state,
    task_run,
    task_run_state,
    work_pool,
    work_queue,
)

#: Strings of the terminal types, for conditions in SQL.
TERMINAL_TYPES = tuple(sorted(kind.value for kind in TERMINAL))


def _state_columns(table: sa.Table) -> list[sa.ColumnElement[Any]]:
    names = ("id", "type", "name", "timestamp", "message", "data", "state_details")
    return [table.c[name].label(f"state__{name}") for name in names]


#: A flow run with its state, queue and pool, in one row.
FLOW_RUN_SOURCE = (
    flow_run.outerjoin(flow_run_state, flow_run_state.c.id == flow_run.c.state_id)
    .outerjoin(work_queue, work_queue.c.id == flow_run.c.work_queue_id)
    .outerjoin(work_pool, work_pool.c.id == work_queue.c.work_pool_id)
)
SELECT_FLOW_RUN = sa.select(
    flow_run,
    *_state_columns(flow_run_state),
    work_queue.c.work_pool_id.label("work_pool_id"),
    work_pool.c.name.label("work_pool_name"),
).select_from(FLOW_RUN_SOURCE)

#: A task run with its state, in one row.
SELECT_TASK_RUN = sa.select(task_run, *_state_columns(task_run_state)).select_from(
    task_run.outerjoin(task_run_state, task_run_state.c.id == task_run.c.state_id)
)


def clean(text: str | None) -> str | None:
    """`text` without NUL characters, which PostgreSQL does not store."""
    return text.replace("\x00", "�") if text is not None and "\x00" in text else text


def details_to_json(details: StateDetails) -> dict[str, Any]:
    """Only what is set: state rows are the most numerous of all."""
    return details.model_dump(mode="json", exclude_defaults=True, exclude_none=True)


def state_values(state: State) -> dict[str, Any]:
    """The columns that flow run states and task run states have in common."""
    return {
        "id": state.id,
        "type": state.type.value,
        "name": state.name,
        "timestamp": state.timestamp,
        "message": clean(state.message),
        "data": state.data,
        "state_details": details_to_json(state.state_details),
    }


def state_from(row: sa.Row[Any]) -> State:
    """A state from a row of flow_run_state or task_run_state."""
    values = row._mapping
    return _state(values["id"], values, "")


def _state(state_id: UUID, values: sa.RowMapping, prefix: str) -> State:
    return State(
        id=state_id,
        type=values[f"{prefix}type"],
        name=values[f"{prefix}name"],
        timestamp=values[f"{prefix}timestamp"],
        message=values[f"{prefix}message"],
        data=values[f"{prefix}data"],
        state_details=StateDetails.model_validate(values[f"{prefix}state_details"]),
    )


def _estimates(values: sa.RowMapping, now: datetime) -> tuple[float, float]:
    """Seconds that the run has run until now, and how late it started or still is."""
    run_time: float = values["total_run_time"]
    if values["state_type"] == StateType.RUNNING and values["state_timestamp"] is not None:
        run_time += max(0.0, (now - values["state_timestamp"]).total_seconds())
    expected: datetime | None = values["expected_start_time"]
    if expected is None:
        return run_time, 0.0
    if values["start_time"] is not None:
        return run_time, max(0.0, (values["start_time"] - expected).total_seconds())
    late = (now - expected).total_seconds() if values["state_type"] not in TERMINAL_TYPES else 0.0
    return run_time, max(0.0, late)


def _run_values(row: sa.Row[Any], now: datetime) -> dict[str, Any]:
    values = row._mapping
    state_id = values["state__id"]
    found = {key: value for key, value in values.items() if not key.startswith("state__")}
    found["state"] = _state(state_id, values, "state__") if state_id is not None else None
    found["estimated_run_time"], found["estimated_start_time_delta"] = _estimates(values, now)
    return found


def flow_run_from(row: sa.Row[Any], now: datetime) -> FlowRun:
    """A flow run from a row of `SELECT_FLOW_RUN`. `now` is what running and late are measured by."""
    return FlowRun(**_run_values(row, now))


def task_run_from(row: sa.Row[Any], now: datetime) -> TaskRun:
    """A task run from a row of `SELECT_TASK_RUN`."""
    return TaskRun(**_run_values(row, now))


def flow_runs_from(rows: Iterable[sa.Row[Any]], now: datetime) -> list[FlowRun]:
    return [flow_run_from(row, now) for row in rows]


def task_runs_from(rows: Iterable[sa.Row[Any]], now: datetime) -> list[TaskRun]:
    return [task_run_from(row, now) for row in rows]
