"""The KubernetesJob block: what you want of a Kubernetes Job."""

import os
import re
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, TypeVar

from pydantic import Field, field_validator, model_validator

from penstock.blocks.credentials.kubernetes_cluster import KubernetesClusterConfig
from penstock.blocks.extras import holds_reference
from penstock.errors import ConfigurationError
from penstock.infrastructure.block import Infrastructure
from penstock.infrastructure.choices import read_choice
from penstock.infrastructure.images import check_image, default_image
from penstock.infrastructure.kubernetes import fields, manifest
from penstock.infrastructure.patches import Patch, check_patch, read_patch
from penstock.infrastructure.platform_limits import with_platform_limits
from penstock.model.attempts import Limits
from penstock.model.base import JSONObject

DEFAULT_NAMESPACE = "default"
KubernetesManifest = JSONObject
_T = TypeVar("_T")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


class KubernetesImagePullPolicy(Enum):
    """When the node fetches the image."""

    IF_NOT_PRESENT = "IfNotPresent"
    ALWAYS = "Always"
    NEVER = "Never"


class KubernetesRestartPolicy(Enum):
    """What Kubernetes does when a container of a pod has ended. Flow runs take `NEVER`."""

    ON_FAILURE = "OnFailure"
    NEVER = "Never"


class KubernetesJob(Infrastructure):
    """Runs the flow run as a Kubernetes Job of one pod.

    The flow's code comes out of a storage or is part of the image; the API must be reachable from within the pod.
    What the fields have no name for is said in `job`, the manifest that it is made from, or in `customizations`, JSON
    patches that are applied last.
    """

    _block_type_name: ClassVar[str | None] = "Kubernetes Job"
    _block_type_slug: ClassVar[str | None] = "kubernetes-job"
    _override_schemas: ClassVar[Mapping[str, JSONObject]] = {"job": fields.JOB}
    _code_example: ClassVar[str | None] = """
        from penstock.infrastructure import KubernetesImagePullPolicy, KubernetesJob

        KubernetesJob(
            namespace="dev",
            image="registry.example.com/team/flows:1",
            image_pull_policy=KubernetesImagePullPolicy.IF_NOT_PRESENT,
            customizations=[
                {
                    "op": "add",
                    "path": "/spec/template/spec/containers/0/resources",
                    "value": {"limits": {"cpu": "1", "memory": "2Gi"}},
                }
            ],
        ).save("BLOCK_NAME")
    """

    type: Literal["kubernetes-job"] = Field(default="kubernetes-job", description="The type of infrastructure.")
    image: str | None = Field(
        default=None,
        description="The image: [registry/]repository[:tag][@digest]. By default the manifest's, else Penstock's own, "
        "with the version and the Python that the block was made with.",
    )
    namespace: str | None = Field(
        default=None, description="The namespace of the Job. By default the manifest's, else `default`."
    )
    service_account_name: str | None = Field(default=None, description="The service account that the pod runs as.")
    image_pull_policy: KubernetesImagePullPolicy | None = Field(
        default=None, description="When the node fetches the image. By default as the cluster does."
    )
    cluster_config: KubernetesClusterConfig | None = Field(
        default=None,
        description="The cluster and how to get in. By default the one that the agent runs in, else what the agent's "
        "kubeconfig names.",
    )
    job: dict[str, Any] = Field(
        default_factory=manifest.base_manifest,
        title="Base Job Manifest",
        description="The manifest that the Job is made from; its first container is the flow run's.",
    )
    customizations: Patch = Field(
        default_factory=list,
        description="JSON patches (RFC 6902) that are applied to the manifest after all else: a list, or its JSON or "
        "YAML text.",
    )
    job_watch_timeout_seconds: int | None = Field(
        default=None, gt=0, description="Seconds that the Job may run, if run_timeout does not say. Null: no limit."
    )
    pod_watch_timeout_seconds: int = Field(
        default=60,
        gt=0,
        description="Seconds until the pod must have started; other than 60 it takes the place of start_timeout, where "
        "that is not set.",
    )
    stream_output: bool = Field(default=True, description="Whether the agent shows the pod's output in its own.")
    finished_job_ttl: int | None = Field(
        default=None,
        ge=0,
        description="Seconds after which Kubernetes removes the Job that has ended. Null: it stays until it is removed.",
    )

    @field_validator("image")
    @classmethod
    def _check_image(cls, value: str | None) -> str | None:
        return value if value is None or holds_reference(value) else check_image(value)

    @field_validator("image_pull_policy", mode="before")
    @classmethod
    def _read_policy(cls, value: Any) -> Any:
        return read_choice(value, KubernetesImagePullPolicy)

    @field_validator("namespace")
    @classmethod
    def _check_namespace(cls, value: str | None) -> str | None:
        if value is not None and not holds_reference(value) and not _LABEL.fullmatch(value):
            raise ValueError(
                f"namespace is {value!r}; a namespace has up to 63 lower-case letters, digits and '-', with a letter or "
                "a digit at both ends."
            )
        return value

    @field_validator("service_account_name")
    @classmethod
    def _check_account(cls, value: str | None) -> str | None:
        if value is None or holds_reference(value):
            return value
        if len(value) > 253 or not all(_LABEL.fullmatch(part) for part in value.split(".")):
            raise ValueError(
                f"service_account_name is {value!r}, which no service account of Kubernetes can be called."
            )
        return value

    @field_validator("job", mode="before")
    @classmethod
    def _read_job(cls, value: Any) -> Any:
        job = manifest.read_manifest(value)
        fields.refuse_slips(job)
        return job

    @model_validator(mode="after")
    def _take_from_manifest(self) -> Self:
        # The manifest's own word holds unless the field has one: only what neither says is filled in.
        if self.image is None and manifest.container_image(self.job) is None:
            self.image = default_image()
        if self.namespace is None and manifest.namespace_of(self.job) is None:
            self.namespace = DEFAULT_NAMESPACE
        return self

    @model_validator(mode="after")
    def _check_customizations(self) -> Self:
        if self.customizations:
            check_patch(self.customizations, manifest.shape(self.job), "customizations")
        return self

    @classmethod
    def base_job_manifest(cls) -> KubernetesManifest:
        """The manifest that Jobs are made from unless `job` is given, to be changed and handed in as `job`."""
        return manifest.base_manifest()

    @classmethod
    def job_from_file(cls, filename: str | os.PathLike[str]) -> KubernetesManifest:
        """The manifest in a YAML or JSON file, for the field `job`. Raises ConfigurationError that names the file."""
        return _from_file(filename, manifest.read_manifest)

    @classmethod
    def customize_from_file(cls, filename: str | os.PathLike[str]) -> list[JSONObject]:
        """The JSON patches in a YAML or JSON file, for `customizations`. Raises ConfigurationError that names the file."""
        return _from_file(filename, read_patch)

    def limits(self) -> Limits:
        limits = with_platform_limits(
            super().limits(), self, start="pod_watch_timeout_seconds", run="job_watch_timeout_seconds"
        )
        grace = self.job["spec"]["template"]["spec"].get("terminationGracePeriodSeconds")
        return limits if grace is None or self.has_own_grace() else limits.model_copy(update={"grace": float(grace)})

    def has_own_grace(self) -> bool:
        """Whether `grace_seconds` says something else than its default, so that it holds and not the manifest's grace."""
        return bool(self.grace_seconds != type(self).model_fields["grace_seconds"].default)


def _from_file(filename: str | os.PathLike[str], read: Callable[[str], _T]) -> _T:
    try:
        return read(Path(filename).expanduser().read_text())
    except OSError as error:
        raise ConfigurationError(f"{filename} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ConfigurationError(f"{filename}: {error}") from None
