"""A deployment as it is written, told to the server: what somebody said of it, and nothing that nobody said."""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Protocol

from penstock.blocks.base import Block
from penstock.blocks.registration import register_blocks_in
from penstock.errors import ConfigurationError, NotFound
from penstock.infrastructure.process.config import Process
from penstock.model.applying import DeploymentApplied, DeploymentApply
from penstock.model.base import JSONObject
from penstock.model.block_documents import BlockDocumentCreate
from penstock.model.deployments import Deployment
from penstock.model.work_queues import DEFAULT_QUEUE, WorkQueueCreate, WorkQueueUpdate
from penstock.sdk import block_data, deployment_code

if TYPE_CHECKING:
    from penstock.client.sync import SyncClient

#: Fields that are sent as they are.
_PLAIN = (
    "description",
    "version",
    "tags",
    "parameters",
    "parameter_openapi_schema",
    "enforce_parameter_schema",
    "schedule",
    "schedules",
    "is_schedule_active",
    "concurrency_limit",
    "work_queue_name",
    "work_pool_name",
    "infra_overrides",
    "path",
    "entrypoint",
    "manifest_path",
)
_BLOCKS = ("infrastructure", "storage")


class Written(deployment_code.Located, Protocol):
    """What is asked of a deployment that is applied; `penstock.sdk.deployments.Deployment` is one."""

    name: Any
    flow_name: str | None

    def check(self) -> None: ...

    def said(self) -> JSONObject:
        """The fields that somebody said, by name; None clears one."""
        ...


def apply(
    deployment: Written,
    *,
    force: bool | Collection[str] = False,
    dry_run: bool = False,
    work_queue_concurrency: int | None = None,
) -> DeploymentApplied:
    """Create the deployment on the server, or change it to what this one says.

    What people have changed elsewhere is kept unless this deployment says something else than the last time; `force`: all
    that it says wins, or what it says of these fields. `dry_run`: everything is tried, and nothing changed.
    Raises ConfigurationError, ParameterError, and what the server refuses.
    """
    from penstock.client import deployments, get_sync_client

    if not deployment.flow_name:
        raise ConfigurationError(f"The deployment {deployment.name!r} does not say which flow it runs: set flow_name.")
    deployment.check()
    deployment_code.refuse_out_of_reach(deployment)
    with get_sync_client() as client:
        if not dry_run:
            deployment_code.deliver(client, deployment.storage)
        request = _request(client, deployment, force if isinstance(force, bool) else sorted(force), dry_run)
        applied = client.send(deployments.apply_deployment(request))
        if work_queue_concurrency is not None and not dry_run:
            _limit_queue(client, applied.deployment, work_queue_concurrency)
    return applied


def _request(client: "SyncClient", deployment: Written, force: bool | list[str], dry_run: bool) -> DeploymentApply:
    said = deployment.said()
    values = {name: said[name] for name in _PLAIN if name in said}
    for part in _BLOCKS:
        if part in said:
            values |= _block(client, part, said[part])
    return DeploymentApply(name=deployment.name, flow_name=deployment.flow_name, force=force, dry_run=dry_run, **values)


def _block(client: "SyncClient", part: str, block: Block | None) -> JSONObject:
    """The block of a deployment: a saved one by its id, another by its content; a plain local process by nothing."""
    if block is None or (block == Process() and not block_data.is_saved(block)):
        return {f"{part}_document_id": None}
    if block._block_document_id is not None:
        return {f"{part}_document_id": block._block_document_id}
    type_id, schema_id = block.register_type_and_schema()
    register_blocks_in(client, block)
    data = block.to_document_data()
    return {part: BlockDocumentCreate(data=data, block_type_id=type_id, block_schema_id=schema_id, is_anonymous=True)}


def _limit_queue(client: "SyncClient", deployment: Deployment, limit: int) -> None:
    from penstock.client import work_queues

    name = deployment.work_queue_name or DEFAULT_QUEUE
    try:
        queue = client.send(work_queues.read_work_queue_by_name(name, deployment.work_pool_name))
        client.send(work_queues.update_work_queue(queue.id, WorkQueueUpdate(concurrency_limit=limit)))
    except NotFound:
        request = WorkQueueCreate(name=name, concurrency_limit=limit)
        client.send(work_queues.create_work_queue(request, deployment.work_pool_name))
