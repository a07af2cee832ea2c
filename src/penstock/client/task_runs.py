"""Calls about task runs."""

from typing import TYPE_CHECKING, Any
from uuid import UUID

from penstock.client.call import Call, given, nothing, segment, whole_number

if TYPE_CHECKING:
    from penstock.model.states import OrchestrationResult, State, StateCreate
    from penstock.model.task_runs import TaskRun, TaskRunCreate, TaskRunUpdate


def create_task_run(task_run: "TaskRunCreate") -> "Call[TaskRun]":
    """Create a task run; the one with the same flow run, task key and dynamic key is returned as it is."""
    return Call("POST", "/task_runs/", _task_run, body=task_run)


def read_task_run(task_run_id: UUID) -> "Call[TaskRun]":
    return Call("GET", f"/task_runs/{segment(task_run_id)}", _task_run)


def read_task_runs(
    *,
    flow_filter: dict[str, Any] | None = None,
    flow_run_filter: dict[str, Any] | None = None,
    task_run_filter: dict[str, Any] | None = None,
    deployment_filter: dict[str, Any] | None = None,
    sort: str | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> "Call[list[TaskRun]]":
    """Task runs that fit all filters, which have the shapes of the API. `sort` is a `TaskRunSort`."""
    body = given(
        flows=flow_filter,
        flow_runs=flow_run_filter,
        task_runs=task_run_filter,
        deployments=deployment_filter,
        sort=sort,
        limit=limit,
        offset=offset,
    )
    return Call("POST", "/task_runs/filter", _task_runs, body=body)


def count_task_runs(
    *, flow_run_filter: dict[str, Any] | None = None, task_run_filter: dict[str, Any] | None = None
) -> Call[int]:
    body = given(flow_runs=flow_run_filter, task_runs=task_run_filter)
    return Call("POST", "/task_runs/count", whole_number, body=body)


def update_task_run(task_run_id: UUID, task_run: "TaskRunUpdate") -> Call[None]:
    return Call("PATCH", f"/task_runs/{segment(task_run_id)}", nothing, body=task_run, partial=True)


def delete_task_run(task_run_id: UUID) -> Call[None]:
    return Call("DELETE", f"/task_runs/{segment(task_run_id)}", nothing)


def set_task_run_state(
    task_run_id: UUID, state: "StateCreate | State", force: bool = False
) -> "Call[OrchestrationResult]":
    """Propose `state`; `force` bypasses the rules. The answer says what became of it."""
    from penstock.client.states import set_state_body

    path = f"/task_runs/{segment(task_run_id)}/set_state"
    return Call("POST", path, _orchestration_result, body=set_state_body(state, force))


def read_cached_state(cache_key: str) -> "Call[State | None]":
    """The completed state of the last task run with that cache key, None if there is none that is still valid."""
    return Call("POST", "/task_runs/cached_state", _state_or_none, body={"cache_key": cache_key})


def read_task_run_states(task_run_id: UUID) -> "Call[list[State]]":
    """All states of a task run, oldest first."""
    return Call("GET", "/task_run_states/", _states, query={"task_run_id": str(task_run_id)})


def _task_run() -> "type[TaskRun]":
    from penstock.model.task_runs import TaskRun

    return TaskRun


def _task_runs() -> "type[list[TaskRun]]":
    from penstock.model.task_runs import TaskRun

    return list[TaskRun]


def _states() -> "type[list[State]]":
    from penstock.model.states import State

    return list[State]


def _state_or_none() -> "type[State | None]":
    from penstock.model.states import State

    return State | None  # type: ignore[return-value]


def _orchestration_result() -> "type[OrchestrationResult]":
    from penstock.model.states import OrchestrationResult

    return OrchestrationResult
