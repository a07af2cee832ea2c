"""The CloudRunJob block: what you want of a job of Google Cloud Run."""

import json
import re
import shlex
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from penstock.blocks.credentials.gcp import GcpCredentials
from penstock.blocks.extras import holds_reference
from penstock.infrastructure.block import Infrastructure
from penstock.infrastructure.choices import read_choice
from penstock.infrastructure.cloud_run import sizes
from penstock.infrastructure.images import check_image
from penstock.infrastructure.platform_limits import with_platform_limits
from penstock.model.attempts import Limits

_MEMORY = re.compile(r"(\d+)\s*(Gi|G|Mi|M)")
_CONNECTOR = re.compile(r"(?:projects/[^/]+/locations/[^/]+/connectors/)?[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")


class CloudRunJob(Infrastructure):
    """Runs the flow run as a job of Google Cloud Run.

    The flow's code comes out of a storage or is part of the image, which lies in a registry that Cloud Run can read;
    the API must be reachable from within the job.
    """

    _block_type_name: ClassVar[str | None] = "GCP Cloud Run Job"
    _block_type_slug: ClassVar[str | None] = "cloud-run-job"
    _code_example: ClassVar[str | None] = """
        from penstock.blocks.credentials import GcpCredentials
        from penstock.infrastructure import CloudRunJob

        CloudRunJob(
            image="europe-docker.pkg.dev/my-project/flows/flows:1",
            region="europe-west1",
            credentials=GcpCredentials.load("CREDENTIALS_NAME"),
            memory=1,
            memory_unit="Gi",
        ).save("BLOCK_NAME")
    """

    type: Literal["cloud-run-job"] = Field(default="cloud-run-job", description="The type of infrastructure.")
    image: str = Field(
        title="Image Name",
        description="The image: [registry/]repository[:tag][@digest], in a registry that Cloud Run can read.",
    )
    region: str = Field(description="Region that the job runs in, e.g. europe-west1.")
    credentials: GcpCredentials = Field(
        default_factory=GcpCredentials,
        description="As whom the agent starts jobs, and in which project. By default what Google's library finds on the "
        "agent's machine.",
    )
    cpu: int | None = Field(
        default=None, gt=0, title="CPU", description="CPUs of the job: 1, 2, 4, 6 or 8. By default 1."
    )
    memory: int | None = Field(
        default=None,
        gt=0,
        title="Memory",
        description="Memory of the job, counted in memory_unit; 512Mi is understood too. By default 512 Mi.",
    )
    memory_unit: Literal["G", "Gi", "M", "Mi"] | None = Field(
        default=None, title="Memory Units", description="What memory counts: G, Gi, M or Mi. Goes with memory."
    )
    vpc_connector_name: str | None = Field(
        default=None,
        title="VPC Connector Name",
        description="Serverless VPC Access connector that the job reaches private networks through.",
    )
    args: list[str] | None = Field(default=None, description="Arguments that are added to the command.")
    keep_job: bool | None = Field(
        default=False,
        title="Keep Job After Completion",
        description="Whether the job stays in Cloud Run when the run is over.",
    )
    timeout: int | None = Field(
        default=600,
        gt=0,
        title="Job Timeout",
        description="Seconds that the job may run, if run_timeout does not say; then Cloud Run itself ends it.",
    )

    @model_validator(mode="before")
    @classmethod
    def _split_memory(cls, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("memory"), str) and value.get("memory_unit") is None:
            match = _MEMORY.fullmatch(value["memory"].strip())
            if match is not None:
                return {**value, "memory": int(match[1]), "memory_unit": match[2]}
        return value

    @field_validator("image")
    @classmethod
    def _check_image(cls, value: str) -> str:
        return value if holds_reference(value) else check_image(value)

    @field_validator("region")
    @classmethod
    def _check_region(cls, value: str) -> str:
        return value if holds_reference(value) else sizes.check_region(value)

    @field_validator("memory_unit", mode="before")
    @classmethod
    def _read_unit(cls, value: Any) -> Any:
        return read_choice(value, ("G", "Gi", "M", "Mi"))

    @field_validator("args", mode="before")
    @classmethod
    def _split_args(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return json.loads(value) if value.lstrip().startswith("[") else shlex.split(value)

    @field_validator("vpc_connector_name")
    @classmethod
    def _check_connector(cls, value: str | None) -> str | None:
        if value is not None and not holds_reference(value) and not _CONNECTOR.fullmatch(value):
            raise ValueError(
                f"vpc_connector_name is {value!r}; it has to be a connector's name, or "
                "projects/PROJECT/locations/REGION/connectors/NAME."
            )
        return value

    @field_validator("timeout")
    @classmethod
    def _check_timeout(cls, value: int | None) -> int | None:
        if value is not None:
            sizes.warn_of_timeout(value)
        return value

    @model_validator(mode="after")
    def _check_size(self) -> Self:
        if (self.memory is None) != (self.memory_unit is None):
            missing = "memory" if self.memory is None else "memory_unit"
            raise ValueError(
                f"memory and memory_unit go together, and {missing} is missing: memory=1, memory_unit='Gi'."
            )
        known = self.memory is not None and self.memory_unit is not None
        sizes.check_size(self.cpu, sizes.memory_bytes(self.memory or 0, self.memory_unit or "G") if known else None)
        return self

    @property
    def memory_string(self) -> str | None:
        """The memory as Google writes it, e.g. ``512Mi``; None if nothing was said."""
        return None if self.memory is None else f"{self.memory}{self.memory_unit}"

    def limits(self) -> Limits:
        return with_platform_limits(super().limits(), self, run="timeout")
