"""What a deployment consists of, and what makes it right: fields, checked one by one and against each other."""

import copy
from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, field_validator, model_validator

from penstock import clock
from penstock.blocks.base import Block
from penstock.blocks.schema import block_schema
from penstock.errors import ConfigurationError, ParameterError, did_you_mean
from penstock.infrastructure.block import Infrastructure
from penstock.infrastructure.overrides import refuse_secrets
from penstock.infrastructure.process.config import Process
from penstock.infrastructure.registry import infrastructure_from
from penstock.model.base import JSONObject, Name
from penstock.model.deployments import DeploymentScheduleCreate
from penstock.model.schedule_checks import CheckedSchedule
from penstock.model.work_queues import DEFAULT_QUEUE
from penstock.sdk import block_data, deployment_yaml
from penstock.storage.bundle import Packed


class DeploymentFields(BaseModel):
    """The fields of `penstock.sdk.deployments.Deployment`, without what reads and writes them."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    name: Name
    description: str | None = None
    version: str | None = None
    tags: list[str] = Field(default_factory=list)
    schedule: CheckedSchedule | None = None
    schedules: list[DeploymentScheduleCreate] | None = None
    is_schedule_active: bool | None = None
    flow_name: str | None = None
    work_queue_name: str | None = DEFAULT_QUEUE
    work_pool_name: str | None = None
    concurrency_limit: int | None = Field(default=None, ge=0)
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

    #: What the flow itself said of `version` and `description` when the deployment was built; None if nobody knows.
    _built_from: JSONObject | None = PrivateAttr(default=None)
    #: The bundle that was made when the deployment was built; None if its code lies elsewhere.
    _packed: Packed | None = PrivateAttr(default=None)
    #: Whether the deployment of before has its code in the image of its infrastructure, at `path`.
    _in_image: bool = PrivateAttr(default=False)
    #: What was taken from the server's deployment, which nobody has said here.
    _from_server: JSONObject = PrivateAttr(default_factory=dict)
    #: Collections for which a file says null: all of what they have is to go.
    _cleared: frozenset[str] = PrivateAttr(default=frozenset())

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown(cls, values: Any) -> Any:
        for name in values if isinstance(values, dict) else ():
            if name not in cls.model_fields:
                raise ValueError(f"a deployment has no field {name!r}.{did_you_mean(str(name), cls.model_fields)}")
        return values

    @field_validator("version", mode="before")
    @classmethod
    def _version_as_text(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value

    @field_validator("schedules", mode="before")
    @classmethod
    def _with_bare_schedules(cls, value: Any) -> Any:
        """Of the items of `schedules`, those that are no more than a schedule may be written as that."""
        if not isinstance(value, list | tuple):
            return value
        return [_whole(item) for item in value]

    @field_validator("storage")
    @classmethod
    def _storage_can_be_read(cls, value: Block | None) -> Block | None:
        if value is not None and "get-directory" not in value.get_block_capabilities():
            raise ValueError(f"a {value.get_block_type_name()} block keeps no files and cannot be the storage")
        return value

    def __eq__(self, other: object) -> bool:
        """Deployments with equal fields are equal, wherever the fields come from."""
        return type(self) is type(other) and self.__dict__ == other.__dict__

    __hash__ = None  # type: ignore[assignment]

    @property
    def packed(self) -> Packed | None:
        """The bundle that was made when the deployment was built, None if its code lies elsewhere."""
        return self._packed

    @property
    def location(self) -> str:
        """Where the flow's code lies, for people."""
        base = getattr(self.storage, "basepath", None)
        return "/".join(part.rstrip("/") for part in (base, self.path) if part) or "."

    @classmethod
    def from_fields(cls, values: JSONObject, place: str) -> Self:
        """A deployment of these fields. Raises ConfigurationError that begins with `place` and names the field."""
        try:
            return cls(**values)
        except ValidationError as error:
            raise ConfigurationError(f"{place}: {block_data.faults(error)}") from None

    def change(self, values: JSONObject) -> None:
        """Set these fields. Raises ConfigurationError that names the field that is wrong."""
        for field, value in values.items():
            if field not in type(self).model_fields:
                raise ConfigurationError(
                    f"A deployment has no field {field!r}.{did_you_mean(field, type(self).model_fields)}"
                )
            try:
                setattr(self, field, value)
            except ValidationError as error:
                raise ConfigurationError(f"deployment {self.name!r}: {block_data.faults(error)}") from None

    def take(self, values: JSONObject) -> None:
        """Set these fields to what the server's deployment says: as `change`, but it is not said here."""
        self.change(values)
        self._from_server |= {name: copy.deepcopy(getattr(self, name)) for name in values}

    def said(self) -> JSONObject:
        """The fields that somebody has said here, by name: set ones, and defaults that were filled; None clears one."""
        found: JSONObject = {}
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if name not in self.model_fields_set and value == field.get_default(call_default_factory=True):
                continue
            if name in self._from_server and _is_same(self._from_server[name], value):
                continue
            found[name] = None if name in self._cleared and not value else value
        return found

    def to_file(self) -> JSONObject:
        """The fields as they stand in a deployment file: blocks as mappings, secrets masked."""
        values = self.model_dump(mode="json", exclude={"infrastructure", "storage"})
        values["infrastructure"] = block_data.to_file(self.infrastructure)
        values["storage"] = block_data.to_file(self.storage)
        values[deployment_yaml.BUILT_FROM] = self._built_from
        return values

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


def _is_same(one: Any, other: Any) -> bool:
    """Whether two values of a field are equal; blocks with equal fields may still be saved in different places."""
    places = [getattr(value, "_block_document_id", None) for value in (one, other)]
    return bool(one == other) and places[0] == places[1]


def _whole(item: Any) -> Any:
    """An item of `schedules` with its schedule in place."""
    if isinstance(item, DeploymentScheduleCreate):
        return item
    if isinstance(item, dict):
        return item if "schedule" in item else {"schedule": item}
    return {"schedule": item}


def _takes_any(schema: JSONObject) -> bool:
    """Whether a parameter may be a catch-all, which takes names that have no place of their own."""
    return schema.get("type") == "object" and "default" not in schema and "additionalProperties" in schema
