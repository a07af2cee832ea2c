"""Calls about flow runs."""

from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID, uuid4

from penstock.client.call import Call, given, json_object, nothing, segment, whole_number

if TYPE_CHECKING:
    from penstock.model.flow_runs import DeploymentFlowRunCreate, FlowRun, FlowRunCreate, FlowRunUpdate
    from penstock.model.states import OrchestrationResult, State, StateCreate

B = TypeVar("B", "FlowRunCreate", "DeploymentFlowRunCreate")


def create_flow_run(flow_run: "FlowRunCreate") -> "Call[FlowRun]":
    """Create a run that the caller executes itself.

    Without an idempotency key it gets one of its own, so that the request can be repeated and never makes two runs.
    """
    return Call("POST", "/flow_runs/", _flow_run, body=_keyed(flow_run))


def create_flow_run_from_deployment(
    deployment_id: UUID, flow_run: "DeploymentFlowRunCreate | None" = None
) -> "Call[FlowRun]":
    """Create a run of a deployment; an agent will take it. Idempotent as `create_flow_run` is."""
    from penstock.model.flow_runs import DeploymentFlowRunCreate

    body = _keyed(flow_run or DeploymentFlowRunCreate())
    return Call("POST", f"/deployments/{segment(deployment_id)}/create_flow_run", _flow_run, body=body)


def read_flow_run(flow_run_id: UUID) -> "Call[FlowRun]":
    return Call("GET", f"/flow_runs/{segment(flow_run_id)}", _flow_run)


def read_flow_runs(
    *,
    flow_filter: dict[str, Any] | None = None,
    flow_run_filter: dict[str, Any] | None = None,
    task_run_filter: dict[str, Any] | None = None,
    deployment_filter: dict[str, Any] | None = None,
    work_pool_filter: dict[str, Any] | None = None,
    work_queue_filter: dict[str, Any] | None = None,
    sort: str | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> "Call[list[FlowRun]]":
    """Runs that fit all filters, which have the shapes of the API. `sort` is a `FlowRunSort`."""
    filters = _filters(
        flow_filter, flow_run_filter, task_run_filter, deployment_filter, work_pool_filter, work_queue_filter
    )
    return Call("POST", "/flow_runs/filter", _flow_runs, body=given(**filters, sort=sort, limit=limit, offset=offset))


def count_flow_runs(
    *,
    flow_filter: dict[str, Any] | None = None,
    flow_run_filter: dict[str, Any] | None = None,
    task_run_filter: dict[str, Any] | None = None,
    deployment_filter: dict[str, Any] | None = None,
    work_pool_filter: dict[str, Any] | None = None,
    work_queue_filter: dict[str, Any] | None = None,
) -> Call[int]:
    filters = _filters(
        flow_filter, flow_run_filter, task_run_filter, deployment_filter, work_pool_filter, work_queue_filter
    )
    return Call("POST", "/flow_runs/count", whole_number, body=given(**filters))


def update_flow_run(flow_run_id: UUID, flow_run: "FlowRunUpdate") -> Call[None]:
    """Change the fields that `flow_run` sets."""
    return Call("PATCH", f"/flow_runs/{segment(flow_run_id)}", nothing, body=flow_run, partial=True)


def delete_flow_run(flow_run_id: UUID) -> Call[None]:
    return Call("DELETE", f"/flow_runs/{segment(flow_run_id)}", nothing)


def set_flow_run_state(
    flow_run_id: UUID, state: "StateCreate | State", force: bool = False
) -> "Call[OrchestrationResult]":
    """Propose `state`; `force` bypasses the rules. The answer says what became of it.

    The proposal carries an id, so that the server knows it again when it is repeated.
    """
    from penstock.client.states import set_state_body

    path = f"/flow_runs/{segment(flow_run_id)}/set_state"
    return Call("POST", path, _orchestration_result, body=set_state_body(state, force))


def resume_flow_run(flow_run_id: UUID, run_input: dict[str, Any] | None = None) -> "Call[OrchestrationResult]":
    """Let a paused run go on. `run_input`: what it waits for, by field.

    The request carries the id of the state that follows, so that the server knows it again when it is repeated.
    """
    path = f"/flow_runs/{segment(flow_run_id)}/resume"
    return Call("POST", path, _orchestration_result, body=given(run_input=run_input, state_id=str(uuid4())))


def wait_for_flow_run_change(
    flow_run_id: UUID, known_state_id: UUID | None = None, seconds: float = 30.0
) -> "Call[FlowRun]":
    """The run as soon as its state is another than `known_state_id`, or as it is after so many `seconds`, 60 at most."""
    query = {"seconds": f"{seconds:.3f}"}
    if known_state_id is not None:
        query["state_id"] = str(known_state_id)
    path = f"/flow_runs/{segment(flow_run_id)}/wait"
    return Call("GET", path, _flow_run, query=query, patience=seconds)


def read_flow_run_states(flow_run_id: UUID) -> "Call[list[State]]":
    """All states of a run, oldest first."""
    return Call("GET", "/flow_run_states/", _states, query={"flow_run_id": str(flow_run_id)})


def explain_flow_run(flow_run_id: UUID) -> Call[dict[str, Any]]:
    """Why the run is where it is: ``{"flow_run_id", "state", "explanation"}``."""
    return Call("GET", f"/flow_runs/{segment(flow_run_id)}/explain", json_object)


def _keyed(flow_run: B) -> B:
    if flow_run.idempotency_key is not None:
        return flow_run
    return flow_run.model_copy(update={"idempotency_key": f"client-{uuid4()}"})


def _filters(
    flows: dict[str, Any] | None,
    flow_runs: dict[str, Any] | None,
    task_runs: dict[str, Any] | None,
    deployments: dict[str, Any] | None,
    work_pools: dict[str, Any] | None,
    work_queues: dict[str, Any] | None,
) -> dict[str, Any]:
    return {
        "flows": flows,
        "flow_runs": flow_runs,
        "task_runs": task_runs,
        "deployments": deployments,
        "work_pools": work_pools,
        "work_pool_queues": work_queues,
    }


def _flow_run() -> "type[FlowRun]":
    from penstock.model.flow_runs import FlowRun

    return FlowRun


def _flow_runs() -> "type[list[FlowRun]]":
    from penstock.model.flow_runs import FlowRun

    return list[FlowRun]


def _states() -> "type[list[State]]":
    from penstock.model.states import State

    return list[State]


def _orchestration_result() -> "type[OrchestrationResult]":
    from penstock.model.states import OrchestrationResult

    return OrchestrationResult
