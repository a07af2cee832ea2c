"""What a deployment that is built again keeps: what its file says, what the server says, in this order.

Never kept is what is said anew, and what describes the flow's code.
"""

from collections.abc import Collection
from os import PathLike
from pathlib import Path
from typing import Any

from penstock.errors import NotFound, PenstockError
from penstock.infrastructure.block import Infrastructure
from penstock.model.deployments import Deployment as DeploymentRecord
from penstock.model.deployments import DeploymentScheduleCreate
from penstock.sdk import block_data, deployment_file, deployment_yaml
from penstock.sdk.deployment_fields import DeploymentFields
from penstock.sdk.yaml_lines import Lines

#: Fields of the server's deployment that one of the same flow and name takes over.
_ON_SERVER = (
    "tags",
    "parameters",
    "is_schedule_active",
    "infra_overrides",
    "work_queue_name",
    "work_pool_name",
    "concurrency_limit",
    "enforce_parameter_schema",
)
_IN_FILE = (*deployment_yaml.EDITABLE, *deployment_yaml.IF_SET, "infrastructure", "enforce_parameter_schema")
#: Fields of which each says what the other would: whoever says one has said both.
_TOGETHER = ({"schedule", "schedules"}, {"storage", "path"})


def settled(said: set[str]) -> set[str]:
    """`said`, and the fields that are decided by it."""
    return said.union(*(group for group in _TOGETHER if group & said))


def file_of(path: str | PathLike[str], deployment: DeploymentFields) -> Lines | None:
    """The file at `path`, if there is one and it is that of `deployment`. Raises ConfigurationError if it cannot be read."""
    file = Path(path)
    if not file.exists() or not file.stat().st_size:
        return None
    lines = deployment_file.read(file)
    return lines if deployment_file.is_of(lines, deployment.flow_name, deployment.name) else None


def take_from_file(
    deployment: DeploymentFields, lines: Lines, keep: set[str], adding: Collection[str] = ()
) -> set[str]:
    """Take what the file says, but for the fields in `keep`. Returns the fields that are settled now.

    What the flow itself says of version and description is taken from the file only if somebody changed it there. Of the
    fields in `adding`, the deployment's own value is added to the file's.
    """
    unread = {name for name in ("infrastructure", "storage") if name in keep and name not in adding}
    written = deployment_file.described(DeploymentFields, lines, without=unread)
    taken = {name: _added(getattr(written, name), getattr(deployment, name)) for name in adding}
    for name in _IN_FILE:
        if name not in lines.values or name in keep or name == "name":
            continue
        if name in ("version", "description") and not deployment_yaml.edited(name, lines.values):
            continue
        taken[name] = getattr(written, name)
    if "storage" not in keep and written.storage is not None:
        taken |= {"storage": written.storage, "path": written.path}
    elif not keep & {"storage", "infrastructure"} and _in_image(written, written.path):
        taken["path"], deployment._in_image = written.path, True
    deployment.change(taken)
    return settled(keep | set(taken))


def _added(before: Any, value: Any) -> Any:
    """`value`, and what `before` has besides; `value` alone if the two do not go together."""
    if isinstance(before, dict) and isinstance(value, dict):
        return {**before, **value}
    if isinstance(before, Infrastructure) and type(before) is type(value) and not block_data.is_saved(before):
        return before.model_copy(update={name: getattr(value, name) for name in value.model_fields_set})
    return value


def take_from_server(deployment: DeploymentFields, keep: set[str]) -> bool:
    """Take what the server's deployment of this flow and name says, but for the fields in `keep`. Whether there is one."""
    from penstock.client import get_sync_client

    with get_sync_client() as client:
        record = _record(client, deployment)
        if record is None:
            return False
        found = {name: getattr(record, name) for name in _ON_SERVER} | _schedules(record)
        taken = {name: value for name, value in found.items() if name not in keep and value is not None}
        if "infrastructure" not in keep:
            block = block_data.from_document(client, record.infrastructure_document_id)
            if isinstance(block, Infrastructure):
                taken["infrastructure"] = block
        if "storage" not in keep:
            storage = block_data.from_document(client, record.storage_document_id)
            taken |= {"storage": storage, "path": record.path} if storage is not None else {"storage": None}
    deployment.take(taken)
    if not keep & {"storage", "infrastructure"} and _in_image(deployment, record.path):
        deployment.take({"path": record.path})
        deployment._in_image = True
    return True


def _in_image(deployment: DeploymentFields, path: str | None) -> bool:
    """Whether the code is in the image of the infrastructure, at `path`: no storage keeps it."""
    return deployment.storage is None and bool(path) and hasattr(deployment.infrastructure, "image")


def _record(client: Any, deployment: DeploymentFields) -> DeploymentRecord | None:
    from penstock.client import deployments

    try:
        found: DeploymentRecord = client.send(
            deployments.read_deployment_by_name(f"{deployment.flow_name}/{deployment.name}")
        )
        return found
    except NotFound:
        return None


def _schedules(record: DeploymentRecord) -> dict[str, Any]:
    """The one schedule that has nothing but itself, else all of them with what belongs to them."""
    known = set(DeploymentScheduleCreate.model_fields)
    whole = [DeploymentScheduleCreate(**{k: getattr(item, k) for k in known}) for item in record.schedules]
    plain = [DeploymentScheduleCreate(schedule=item.schedule, active=item.active) for item in whole]
    if len(whole) > 1 or whole != plain:
        return {"schedules": whole}
    return {"schedule": record.schedule}


def text_of(deployment: DeploymentFields, lines: Lines | None, text: str) -> str:
    """The file of `deployment`; `text`, read as `lines`, is what it was so far, whose comments and words stay."""
    values = deployment.to_file()
    saved = block_data.is_saved(deployment.infrastructure)
    if lines is None:
        return deployment_yaml.dump(values, saved_infrastructure=saved)
    try:
        before = deployment_file.described(DeploymentFields, lines).to_file()
    except PenstockError:  # a block that it refers to may be gone: what stands there is then what it means
        before = {**dict.fromkeys(values), **lines.values}
    return deployment_yaml.edit(text, before, values, saved_infrastructure=saved)
