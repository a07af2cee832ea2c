"""Calls about deployments."""

from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from penstock.client.call import Call, given, nothing, segment, whole_number
from penstock.errors import Invalid

if TYPE_CHECKING:
    from penstock.model.applying import DeploymentApplied, DeploymentApply
    from penstock.model.deployments import (
        Deployment,
        DeploymentCreate,
        DeploymentSchedule,
        DeploymentScheduleCreate,
        DeploymentScheduleUpdate,
        DeploymentUpdate,
    )


def create_deployment(deployment: "DeploymentCreate") -> "Call[Deployment]":
    """Create a deployment, or bring the one with that flow and name to this. A None that was set is a value."""
    return Call("POST", "/deployments/", _deployment, body=deployment, partial=True)


def apply_deployment(deployment: "DeploymentApply") -> "Call[DeploymentApplied]":
    """Bring a deployment to what is said of it, and keep what people have changed elsewhere since the last time."""
    return Call("POST", "/deployments/apply", _applied, body=deployment, partial=True)


def update_deployment(deployment_id: UUID, deployment: "DeploymentUpdate") -> Call[None]:
    """Change the fields that `deployment` sets."""
    return Call("PATCH", f"/deployments/{segment(deployment_id)}", nothing, body=deployment, partial=True)


def read_deployment(deployment_id: UUID) -> "Call[Deployment]":
    return Call("GET", f"/deployments/{segment(deployment_id)}", _deployment)


def read_deployment_by_name(name: str) -> "Call[Deployment]":
    """`name` is ``flow/deployment``. Raises Invalid if it is not of that form."""
    flow, slash, deployment = name.partition("/")
    if not (flow and slash and deployment):
        raise Invalid(f"{name!r} does not name a deployment: write FLOW/DEPLOYMENT", code="name")
    return Call("GET", f"/deployments/name/{segment(flow)}/{segment(deployment)}", _deployment)


def read_deployments(
    *,
    flow_filter: dict[str, Any] | None = None,
    flow_run_filter: dict[str, Any] | None = None,
    deployment_filter: dict[str, Any] | None = None,
    work_pool_filter: dict[str, Any] | None = None,
    work_queue_filter: dict[str, Any] | None = None,
    sort: str | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> "Call[list[Deployment]]":
    """Deployments that fit all filters, which have the shapes of the API. `sort` is a `DeploymentSort`."""
    body = given(
        flows=flow_filter,
        flow_runs=flow_run_filter,
        deployments=deployment_filter,
        work_pools=work_pool_filter,
        work_pool_queues=work_queue_filter,
        sort=sort,
        limit=limit,
        offset=offset,
    )
    return Call("POST", "/deployments/filter", _deployments, body=body)


def count_deployments(
    *, flow_filter: dict[str, Any] | None = None, deployment_filter: dict[str, Any] | None = None
) -> Call[int]:
    body = given(flows=flow_filter, deployments=deployment_filter)
    return Call("POST", "/deployments/count", whole_number, body=body)


def delete_deployment(deployment_id: UUID) -> Call[None]:
    return Call("DELETE", f"/deployments/{segment(deployment_id)}", nothing)


def schedule_deployment(
    deployment_id: UUID,
    *,
    start_time: datetime | None = None,
    end_time: datetime | None = None,
    min_time: float | None = None,
    min_runs: int | None = None,
    max_runs: int | None = None,
) -> Call[None]:
    """Plan the deployment's runs now instead of at the scheduler's next round. `min_time` is in seconds."""
    body = given(start_time=start_time, end_time=end_time, min_time=min_time, min_runs=min_runs, max_runs=max_runs)
    return Call("POST", f"/deployments/{segment(deployment_id)}/schedule", nothing, body=body)


def set_schedule_active(deployment_id: UUID) -> Call[None]:
    return Call("POST", f"/deployments/{segment(deployment_id)}/set_schedule_active", nothing)


def set_schedule_inactive(deployment_id: UUID) -> Call[None]:
    return Call("POST", f"/deployments/{segment(deployment_id)}/set_schedule_inactive", nothing)


def read_deployment_schedules(deployment_id: UUID) -> "Call[list[DeploymentSchedule]]":
    return Call("GET", f"/deployments/{segment(deployment_id)}/schedules", _schedules)


def create_deployment_schedules(
    deployment_id: UUID, schedules: "list[DeploymentScheduleCreate]"
) -> "Call[list[DeploymentSchedule]]":
    """Add schedules. Not repeatable: what is there already is refused."""
    path = f"/deployments/{segment(deployment_id)}/schedules"
    return Call("POST", path, _schedules, body=schedules, repeatable=False)


def update_deployment_schedule(
    deployment_id: UUID, schedule_id: UUID, change: "DeploymentScheduleUpdate"
) -> Call[None]:
    """Change the fields that `change` sets."""
    path = f"/deployments/{segment(deployment_id)}/schedules/{segment(schedule_id)}"
    return Call("PATCH", path, nothing, body=change, partial=True)


def delete_deployment_schedule(deployment_id: UUID, schedule_id: UUID) -> Call[None]:
    return Call("DELETE", f"/deployments/{segment(deployment_id)}/schedules/{segment(schedule_id)}", nothing)


def _applied() -> "type[DeploymentApplied]":
    from penstock.model.applying import DeploymentApplied

    return DeploymentApplied


def _deployment() -> "type[Deployment]":
    from penstock.model.deployments import Deployment

    return Deployment


def _deployments() -> "type[list[Deployment]]":
    from penstock.model.deployments import Deployment

    return list[Deployment]


def _schedules() -> "type[list[DeploymentSchedule]]":
    from penstock.model.deployments import DeploymentSchedule

    return list[DeploymentSchedule]
