"""What the states that an engine reports make of a task run. Pure, and written for speed: it runs once per task run."""

from datetime import datetime
from typing import Any
from uuid import UUID

from penstock.model.base import new_id
from penstock.model.reports import TaskRunReport
from penstock.model.states import TERMINAL, StateCreate, StateType
from penstock.model.transitions import is_allowed


class Standing:
    """A task run's row as it stands, a dict that `follow` brings up to date."""

    __slots__ = ("row", "type")

    def __init__(self, row: dict[str, Any]) -> None:
        self.row = row
        self.type: StateType | None = StateType(row["state_type"]) if row["state_type"] is not None else None


def follow(standing: Standing, report: TaskRunReport, flow_run_id: UUID | None, now: datetime) -> list[dict[str, Any]]:
    """Lead the task run through the reported states; returns their rows.

    States that may not follow are left out: a task run that was closed when its run was declared dead stays closed.
    """
    row, written = standing.row, []
    for state in report.states:
        if is_allowed(standing.type, state.type, state.name):
            written.append(_enter(standing, state, report.task_run_id, flow_run_id, now))
    if written or not report.states:
        for name in ("name", "run_count", "start_time", "end_time", "total_run_time"):
            said = getattr(report, name)
            if said is not None:
                row[name] = said
    if row["expected_start_time"] is None:
        row["expected_start_time"] = now
    return written


def _enter(
    standing: Standing, state: StateCreate, task_run_id: UUID, flow_run_id: UUID | None, now: datetime
) -> dict[str, Any]:
    row, kind = standing.row, state.type
    at = state.timestamp or now
    details: dict[str, Any] = {}
    due: datetime | None = None
    if state.state_details is not None:
        details = state.state_details.model_dump(mode="json", exclude_defaults=True, exclude_none=True)
        due = state.state_details.scheduled_time
    details["task_run_id"] = str(task_run_id)
    if flow_run_id is not None:
        details["flow_run_id"] = str(flow_run_id)
    if standing.type is StateType.RUNNING and row["state_timestamp"] is not None:
        row["total_run_time"] += max(0.0, (at - row["state_timestamp"]).total_seconds())
    if kind is StateType.RUNNING:
        if standing.type is not StateType.RUNNING and standing.type is not StateType.PAUSED:
            row["run_count"] += 1
        row["start_time"] = row["start_time"] or at
    row["next_scheduled_start_time"] = (due or at) if kind is StateType.SCHEDULED else None
    row["expected_start_time"] = row["expected_start_time"] or due or at
    row["end_time"] = at if kind in TERMINAL else None
    state_id = state.id or new_id()
    name = state.name or kind.value.capitalize()
    row["state_id"], row["state_type"], row["state_name"], row["state_timestamp"] = state_id, kind.value, name, at
    standing.type = kind
    message = state.message
    if message is not None and "\x00" in message:
        message = message.replace("\x00", "�")
    return {
        "id": state_id,
        "task_run_id": task_run_id,
        "type": kind.value,
        "name": name,
        "timestamp": at,
        "message": message,
        "data": state.data,
        "state_details": details,
    }
