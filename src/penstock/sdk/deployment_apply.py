"""A deployment as it is written, told to the server."""

from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

from penstock.blocks.base import Block
from penstock.errors import ConfigurationError, NotFound
from penstock.infrastructure.block import Infrastructure
from penstock.infrastructure.process.config import Process
from penstock.model.deployments import Deployment as DeploymentRecord
from penstock.model.deployments import DeploymentCreate
from penstock.model.work_queues import DEFAULT_QUEUE, WorkQueueCreate, WorkQueueUpdate
from penstock.sdk import block_data

if TYPE_CHECKING:
    from penstock.client.sync import SyncClient


class Written(Protocol):
    """What is asked of a deployment that is applied; `penstock.sdk.deployments.Deployment` is one."""

    name: Any
    flow_name: str | None
    work_queue_name: str | None
    work_pool_name: str | None
    infrastructure: Infrastructure
    storage: Block | None

    def check(self) -> None: ...


def apply(deployment: Written, work_queue_concurrency: int | None = None) -> UUID:
    """Create the deployment on the server, or change it to what this one says. Returns its id."""
    from penstock.client import deployments, flows, get_sync_client
    from penstock.model.flows import FlowCreate

    if not deployment.flow_name:
        raise ConfigurationError(
            f"The deployment {deployment.name!r} does not say which flow it runs: set flow_name.",
        )
    deployment.check()
    with get_sync_client() as client:
        flow = client.send(flows.create_flow(FlowCreate(name=deployment.flow_name)))
        record = _record(client, deployment)
        infrastructure = _infrastructure_id(client, deployment, record)
        storage = block_data.document_id(client, deployment.storage, record.storage_document_id if record else None)
        created = client.send(deployments.create_deployment(_request(deployment, flow.id, infrastructure, storage)))
        if work_queue_concurrency is not None:
            _limit_queue(client, deployment, work_queue_concurrency)
    return created.id


def _record(client: "SyncClient", deployment: Written) -> DeploymentRecord | None:
    from penstock.client import deployments

    try:
        return client.send(deployments.read_deployment_by_name(f"{deployment.flow_name}/{deployment.name}"))
    except NotFound:
        return None


def _infrastructure_id(client: "SyncClient", deployment: Written, record: DeploymentRecord | None) -> UUID | None:
    if deployment.infrastructure == Process() and not block_data.is_saved(deployment.infrastructure):
        return None  # a deployment without a document is a plain local process
    existing = record.infrastructure_document_id if record else None
    return block_data.document_id(client, deployment.infrastructure, existing)


def _request(deployment: Written, flow_id: UUID, infrastructure: UUID | None, storage: UUID | None) -> DeploymentCreate:
    values = {
        field: getattr(deployment, field)
        for field in (
            "name", "description", "version", "tags", "schedule", "work_queue_name", "work_pool_name", "parameters",
            "manifest_path", "infra_overrides", "path", "entrypoint", "parameter_openapi_schema",
        )
    }  # fmt: skip
    for field in ("is_schedule_active", "enforce_parameter_schema", "schedules"):
        if getattr(deployment, field) is not None:
            values[field] = getattr(deployment, field)
    if "schedules" in values:
        del values["schedule"]
    return DeploymentCreate(
        flow_id=flow_id, infrastructure_document_id=infrastructure, storage_document_id=storage, **values
    )


def _limit_queue(client: "SyncClient", deployment: Written, limit: int) -> None:
    from penstock.client import work_queues

    name = deployment.work_queue_name or DEFAULT_QUEUE
    try:
        queue = client.send(work_queues.read_work_queue_by_name(name, deployment.work_pool_name))
        client.send(work_queues.update_work_queue(queue.id, WorkQueueUpdate(concurrency_limit=limit)))
    except NotFound:
        request = WorkQueueCreate(name=name, concurrency_limit=limit)
        client.send(work_queues.create_work_queue(request, deployment.work_pool_name))
