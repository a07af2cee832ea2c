"""Deployment: a flow, where its code lies, the infrastructure that runs it, a schedule and parameters."""

import inspect
import os
import sys
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from penstock import clock
from penstock.blocks.base import Block
from penstock.blocks.schema import block_schema
from penstock.engine.parameters import parameter_schema
from penstock.engine.protocols import FlowLike
from penstock.errors import ConfigurationError, NotFound, ParameterError, did_you_mean
from penstock.infrastructure.block import Infrastructure
from penstock.infrastructure.images import FLOWS_IN_IMAGE
from penstock.infrastructure.overrides import refuse_secrets
from penstock.infrastructure.process.config import Process
from penstock.infrastructure.registry import infrastructure_from
from penstock.model.base import JSONObject, Name
from penstock.model.deployments import Deployment as DeploymentRecord
from penstock.model.deployments import DeploymentScheduleCreate
from penstock.model.schedules import Schedule
from penstock.model.work_queues import DEFAULT_QUEUE
from penstock.sdk import block_data, deployment_yaml

#: What a deployment that exists on the server keeps when it is built again without saying otherwise.
_KEPT = (
    "tags",
    "parameters",
    "schedule",
    "is_schedule_active",
    "infra_overrides",
    "work_queue_name",
    "work_pool_name",
)


class Deployment(BaseModel):
    """A deployment as it is written, before and after the server knows it.

        deployment = Deployment.build_from_flow(my_flow, name="nightly", work_queue_name="default")
        deployment.apply()

    Fields that are not given are taken from the deployment of the same flow and name, if the server has one.
    """

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    name: Name
    description: str | None = None
    version: str | None = None
    tags: list[str] = Field(default_factory=list)
    schedule: Schedule | None = None
    schedules: list[DeploymentScheduleCreate] | None = None
    is_schedule_active: bool | None = None
    flow_name: str | None = None
    work_queue_name: str | None = DEFAULT_QUEUE
    work_pool_name: str | None = None
    parameters: JSONObject = Field(default_factory=dict)
    manifest_path: str | None = None
    infrastructure: Infrastructure = Field(default_factory=Process)
    infra_overrides: JSONObject = Field(default_factory=dict)
    storage: Block | None = None
    path: str | None = None
    entrypoint: str | None = None
    parameter_openapi_schema: JSONObject = Field(default_factory=dict)
    enforce_parameter_schema: bool | None = None
    timestamp: datetime = Field(default_factory=clock.now)

    @field_validator("version", mode="before")
    @classmethod
    def _version_as_text(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value

    @field_validator("storage")
    @classmethod
    def _storage_can_be_read(cls, value: Block | None) -> Block | None:
        if value is not None and "get-directory" not in value.get_block_capabilities():
            raise ValueError(f"a {value.get_block_type_name()} block keeps no files and cannot be the storage")
        return value

    @property
    def location(self) -> str:
        """Where the flow's code lies, for people."""
        base = getattr(self.storage, "basepath", None)
        return "/".join(part.rstrip("/") for part in (base, self.path) if part) or "."

    @classmethod
    def build_from_flow(
        cls,
        flow: FlowLike,
        name: str,
        output: str | os.PathLike[str] | None = None,
        skip_upload: bool = False,
        ignore_file: str | None = None,
        apply: bool = False,
        load_existing: bool = True,
        **fields: Any,
    ) -> Self:
        """A deployment of `flow`. `fields` are those of this class; unknown ones are refused with the nearest name.

        `output`: write the deployment file there. `apply`: tell the server at once. A storage that takes files gets the
        current folder, without what `ignore_file` names, unless `skip_upload`.
        Raises ConfigurationError, CodeError when the flow's code is in no file, and ParameterError.
        """
        if not name:
            raise ConfigurationError("A deployment needs a name.")
        given = {"name": name, **_described(flow), **fields}
        deployment = cls._from_fields(given, f"deployment {name!r}")
        if "entrypoint" not in fields:
            deployment.entrypoint = entrypoint_of(flow)
        if load_existing:
            deployment.load(keep=set(fields))
        if "path" not in fields and deployment.storage is None:
            deployment.path = _where_code_lies(deployment.infrastructure)
        deployment.check()
        if not skip_upload:
            deployment.upload_to_storage(ignore_file=ignore_file)
        if output is not None:
            deployment.to_yaml(output)
        if apply:
            deployment.apply()
        return deployment

    @classmethod
    def load_from_yaml(cls, path: str | os.PathLike[str]) -> Self:
        """The deployment that a file describes. Saved blocks are read from the server.

        Raises ConfigurationError that names the file and the field.
        """
        try:
            text = Path(path).read_text()
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be read: {error.strerror}.", code="deployment_file") from None
        values = deployment_yaml.parse(text, str(path))
        if values.pop("triggers", None):
            raise ConfigurationError(f"{path}: triggers are not supported.", hint="Remove them from the file.")
        if not values.get("schedules"):
            values.pop("schedules", None)
        if values.get("infrastructure") is None:
            values.pop("infrastructure", None)
        for field in ("infrastructure", "storage"):
            if values.get(field) is not None:
                values[field] = block_data.from_file(values[field], f"{path}: {field}")
        for field in ("tags", "parameters", "infra_overrides", "parameter_openapi_schema"):
            if values.get(field) is None:
                values.pop(field, None)
        return cls._from_fields(values, str(path))

    @classmethod
    def _from_fields(cls, values: dict[str, Any], place: str) -> Self:
        for field in values:
            if field not in cls.model_fields:
                raise ConfigurationError(
                    f"{place}: a deployment has no field {field!r}.{did_you_mean(field, cls.model_fields)}"
                )
        try:
            return cls(**values)
        except ValidationError as error:
            raise ConfigurationError(f"{place}: {block_data.faults(error)}") from None

    def to_yaml(self, path: str | os.PathLike[str]) -> None:
        """Write the deployment file. Blocks saved under a name are referred to, others are described in it."""
        fields = (*deployment_yaml.EDITABLE, *deployment_yaml.GENERATED, "schedules", "enforce_parameter_schema")
        values = self.model_dump(mode="json", include=set(fields))
        values["infrastructure"] = block_data.to_file(self.infrastructure)
        values["storage"] = block_data.to_file(self.storage)
        saved = block_data.is_saved(self.infrastructure)
        Path(path).write_text(deployment_yaml.dump(values, saved_infrastructure=saved))

    def update(self, ignore_none: bool = False, **fields: Any) -> None:
        """Change fields. With `ignore_none`, those given as None are left as they are."""
        for field, value in fields.items():
            if field not in type(self).model_fields:
                raise ConfigurationError(
                    f"A deployment has no field {field!r}.{did_you_mean(field, type(self).model_fields)}"
                )
            if value is not None or not ignore_none:
                try:
                    setattr(self, field, value)
                except ValidationError as error:
                    raise ConfigurationError(f"deployment {self.name!r}: {block_data.faults(error)}") from None

    def load(self, keep: Iterable[str] = ()) -> bool:
        """Take what the server's deployment of this flow and name says, except for the fields in `keep`.

        Returns whether there is one. What describes the flow's code (version, entrypoint, path …) is never taken.
        """
        from penstock.client import get_sync_client

        with get_sync_client() as client:
            record = self._record(client)
            if record is None:
                return False
            kept = set(keep)
            for field in _KEPT:
                value = getattr(record, field)
                if field not in kept and value is not None:
                    setattr(self, field, value)
            if "infrastructure" not in kept:
                block = block_data.from_document(client, record.infrastructure_document_id)
                if isinstance(block, Infrastructure):
                    self.infrastructure = block
            if "storage" not in kept and "path" not in kept:
                self.storage = block_data.from_document(client, record.storage_document_id)
                if self.storage is not None:
                    self.path = record.path
        return True

    def _record(self, client: Any) -> DeploymentRecord | None:
        from penstock.client import deployments

        try:
            found: DeploymentRecord = client.send(deployments.read_deployment_by_name(f"{self.flow_name}/{self.name}"))
            return found
        except NotFound:
            return None

    def check(self) -> None:
        """Raise if an override names a field that the infrastructure has not, or a parameter that the flow has not.

        An override that would put a secret into the deployment in clear is refused too.
        """
        if self.infra_overrides:
            secret_fields = block_schema(type(self.infrastructure))["secret_fields"]
            refuse_secrets(self.infra_overrides, secret_fields, "infra_overrides")
        infrastructure_from(block_data.as_claimed(self.infrastructure), self.infra_overrides, "infra_overrides")
        properties = self.parameter_openapi_schema.get("properties")
        if properties is None or any(_takes_any(schema) for schema in properties.values()):
            return
        for name in self.parameters:
            if name not in properties:
                raise ParameterError(
                    f"The flow {self.flow_name!r} has no parameter {name!r}.{did_you_mean(name, properties)}",
                    hint=f"Its parameters: {', '.join(properties) or 'none'}.",
                )

    def upload_to_storage(self, ignore_file: str | None = None) -> int | None:
        """Copy the current folder into the storage. Returns the number of files; None if there is no storage for it."""
        if self.storage is None or "put-directory" not in self.storage.get_block_capabilities():
            return None
        count: int = self.storage.put_directory(local_path=None, to_path=self.path, ignore_file=ignore_file)  # type: ignore[attr-defined]
        return count

    def apply(self, upload: bool = False, work_queue_concurrency: int | None = None) -> UUID:
        """Tell the server: create the deployment, or change it to what this one says. Returns its id.

        `upload`: copy the current folder into the storage first. `work_queue_concurrency`: limit of the work queue.
        """
        from penstock.sdk import deployment_apply

        if upload:
            self.check()
            self.upload_to_storage()
        return deployment_apply.apply(self, work_queue_concurrency=work_queue_concurrency)


def _described(flow: FlowLike) -> dict[str, Any]:
    if not hasattr(flow, "fn") or not hasattr(flow, "new_task_runner"):
        raise ConfigurationError(f"{flow!r} is no flow.", hint="Decorate the function with @flow.")
    return {
        "flow_name": flow.name,
        "description": flow.description,
        "version": flow.version,
        "parameter_openapi_schema": parameter_schema(flow.fn),
    }


def _where_code_lies(infrastructure: Infrastructure) -> str:
    """The folder of the flow's code where no storage keeps it: that of the image, or this one."""
    return FLOWS_IN_IMAGE if hasattr(infrastructure, "image") else str(Path.cwd())


def _takes_any(schema: JSONObject) -> bool:
    """Whether a parameter may be a catch-all, which takes names that have no place of their own."""
    return schema.get("type") == "object" and "default" not in schema and "additionalProperties" in schema


def entrypoint_of(flow: FlowLike) -> str:
    """``file.py:name`` from where an engine can load `flow`, relative to the current folder where it lies below it.

    Raises ConfigurationError if its code is in no file.
    """
    source = inspect.getsourcefile(inspect.unwrap(flow.fn))
    if source is None or not Path(source).is_file():
        raise ConfigurationError(
            f"The code of flow {flow.name!r} is in no file, so that nothing else could run it.",
            hint="Write the flow into a file, or say entrypoint='file.py:name'.",
        )
    path = Path(source).resolve()
    if path.is_relative_to(Path.cwd()):
        path = path.relative_to(Path.cwd())
    module = sys.modules.get(flow.fn.__module__)
    names = [name for name, value in vars(module).items() if value is flow] if module else []
    return f"{path.as_posix()}:{names[0] if names else flow.fn.__name__}"
