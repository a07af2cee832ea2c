"""Deployments, their schedules and their runs."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Path, Response

from penstock.model.applying import DeploymentApplied, DeploymentApply
from penstock.model.deployments import (
    Deployment,
    DeploymentCreate,
    DeploymentSchedule,
    DeploymentScheduleCreate,
    DeploymentScheduleUpdate,
    DeploymentUpdate,
)
from penstock.model.filters import DeploymentCount, DeploymentQuery
from penstock.model.flow_runs import DeploymentFlowRunCreate, FlowRun
from penstock.model.work_filters import DeploymentRunsQuery, PlanRequest
from penstock.model.work_queues import WorkQueue
from penstock.server.api.answers import answer, no_content, page
from penstock.server.api.dependencies import TheDatabase
from penstock.server.operations import change_deployment_schedules as schedules
from penstock.server.operations import read_deployments
from penstock.server.operations.apply_deployment import apply_deployment
from penstock.server.operations.create_deployment import create_deployment
from penstock.server.operations.create_flow_run_from_deployment import create_flow_run_from_deployment
from penstock.server.operations.delete_deployment import delete_deployment
from penstock.server.operations.plan_deployment import plan_deployment
from penstock.server.operations.read_waiting_runs import read_waiting_runs_of_deployments
from penstock.server.operations.update_deployment import pause_deployment, update_deployment

router = APIRouter(prefix="/deployments", tags=["Deployments"])
DeploymentId = Annotated[UUID, Path(alias="id")]


@router.post("/", response_model=Deployment, status_code=201, responses={200: {"model": Deployment}})
async def create(asked: DeploymentCreate, database: TheDatabase) -> Response:
    """201 if it is new; 200 if the flow has one of that name, which is changed."""
    deployment, created = await database.write(create_deployment, asked)
    return answer(deployment, 201 if created else 200)


@router.post("/apply", response_model=DeploymentApplied, responses={201: {"model": DeploymentApplied}})
async def apply(asked: DeploymentApply, database: TheDatabase) -> Response:
    """201 if it is new; 200 if it was changed, stayed as it is, or `dry_run` was asked."""
    applied = await database.write(apply_deployment, asked)
    return answer(applied, 201 if applied.is_new and not asked.dry_run else 200)


@router.post("/filter", response_model=list[Deployment])
async def read_many(database: TheDatabase, asked: Annotated[DeploymentQuery | None, Body()] = None) -> Response:
    return page(*await database.read(read_deployments.read_deployments, asked or DeploymentQuery()))


@router.post("/count", response_model=int)
async def count(database: TheDatabase, asked: Annotated[DeploymentCount | None, Body()] = None) -> Response:
    return answer(await database.read(read_deployments.count_deployments, asked or DeploymentCount()))


@router.post("/get_scheduled_flow_runs", response_model=list[FlowRun])
async def read_runs(asked: DeploymentRunsQuery, database: TheDatabase) -> Response:
    return answer(await database.write(read_waiting_runs_of_deployments, asked))


@router.get("/name/{flow_name}/{name}", response_model=Deployment)
async def read_by_name(flow_name: str, name: str, database: TheDatabase) -> Response:
    return answer(await database.read(read_deployments.read_deployment_by_name, flow_name, name))


@router.get("/{id}", response_model=Deployment)
async def read(deployment_id: DeploymentId, database: TheDatabase) -> Response:
    return answer(await database.read(read_deployments.read_deployment, deployment_id))


@router.patch("/{id}", status_code=204)
async def update(deployment_id: DeploymentId, change: DeploymentUpdate, database: TheDatabase) -> Response:
    await database.write(update_deployment, deployment_id, change)
    return no_content()


@router.delete("/{id}", status_code=204)
async def delete(deployment_id: DeploymentId, database: TheDatabase) -> Response:
    await database.write(delete_deployment, deployment_id)
    return no_content()


@router.post("/{id}/create_flow_run", response_model=FlowRun, status_code=201, responses={200: {"model": FlowRun}})
async def create_run(
    deployment_id: DeploymentId, database: TheDatabase, asked: Annotated[DeploymentFlowRunCreate | None, Body()] = None
) -> Response:
    """201 if the run is new, 200 if its idempotency key was used before."""
    run, created = await database.write(
        create_flow_run_from_deployment, deployment_id, asked or DeploymentFlowRunCreate()
    )
    return answer(run, 201 if created else 200)


@router.post("/{id}/schedule")
async def plan(
    deployment_id: DeploymentId, database: TheDatabase, _asked: Annotated[PlanRequest | None, Body()] = None
) -> Response:
    """Plan the next runs of its schedules now. How far ahead is the scheduler's to say, whatever is asked."""
    await database.write(plan_deployment, deployment_id)
    return answer(None)


@router.get("/{id}/work_queue_check", response_model=list[WorkQueue])
async def read_queues(deployment_id: DeploymentId, database: TheDatabase) -> Response:
    return answer(await database.read(read_deployments.read_queues_of_deployment, deployment_id))


@router.post("/{id}/set_schedule_active")
@router.post("/{id}/resume_deployment")
async def resume(deployment_id: DeploymentId, database: TheDatabase) -> Response:
    await database.write(pause_deployment, deployment_id, False)
    return answer(None)


@router.post("/{id}/set_schedule_inactive")
@router.post("/{id}/pause_deployment")
async def pause(deployment_id: DeploymentId, database: TheDatabase) -> Response:
    await database.write(pause_deployment, deployment_id, True)
    return answer(None)


@router.get("/{id}/schedules", response_model=list[DeploymentSchedule])
async def read_schedules(deployment_id: DeploymentId, database: TheDatabase) -> Response:
    return answer(await database.read(schedules.read_deployment_schedules, deployment_id))


@router.post("/{id}/schedules", response_model=list[DeploymentSchedule], status_code=201)
async def create_schedules(
    deployment_id: DeploymentId, asked: list[DeploymentScheduleCreate], database: TheDatabase
) -> Response:
    return answer(await database.write(schedules.create_deployment_schedules, deployment_id, asked), 201)


@router.patch("/{id}/schedules/{schedule_id}", status_code=204)
async def update_schedule(
    deployment_id: DeploymentId, schedule_id: UUID, change: DeploymentScheduleUpdate, database: TheDatabase
) -> Response:
    await database.write(schedules.update_deployment_schedule, deployment_id, schedule_id, change)
    return no_content()


@router.delete("/{id}/schedules/{schedule_id}", status_code=204)
async def delete_schedule(deployment_id: DeploymentId, schedule_id: UUID, database: TheDatabase) -> Response:
    await database.write(schedules.delete_deployment_schedule, deployment_id, schedule_id)
    return no_content()
