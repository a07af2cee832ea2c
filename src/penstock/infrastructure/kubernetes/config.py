"""The KubernetesJob block: what you want of a Kubernetes Job."""

import copy
import os
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, TypeVar

from pydantic import Field, ValidationInfo, field_validator, model_validator

from penstock.blocks.credentials.kubernetes_cluster import KubernetesClusterConfig
from penstock.blocks.extras import holds_reference
from penstock.errors import ConfigurationError
from penstock.infrastructure.block import Infrastructure, text_values
from penstock.infrastructure.choices import read_choice
from penstock.infrastructure.images import check_image, default_image
from penstock.infrastructure.kubernetes import fields, manifest, names, owned, pod_fields
from penstock.infrastructure.kubernetes.consistency import check_consistency
from penstock.infrastructure.kubernetes.customizations import (
    Customizations,
    check_customizations,
    read_customizations,
)
from penstock.infrastructure.kubernetes.quantities import check_resources, read_resources
from penstock.infrastructure.kubernetes.shortcuts import laid_over
from penstock.infrastructure.platform_limits import with_platform_limits
from penstock.model.attempts import Limits
from penstock.model.base import JSONObject

DEFAULT_NAMESPACE = "default"
KubernetesManifest = JSONObject
_T = TypeVar("_T")
_OF_VARIABLES = ("env", "env_secret_keys", "env_config_map_keys")
#: field -> what its texts are names of
_NOUNS = {
    "service_account_name": "service account",
    "priority_class_name": "priority class",
    "image_pull_secrets": "Secret",
    "env_from_secrets": "Secret",
    "env_secret_keys": "Secret",
    "env_from_config_maps": "ConfigMap",
    "env_config_map_keys": "ConfigMap",
}


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
    What the fields have no name for is said in `job`, the manifest that it is made from, or in `customizations`,
    patches that are applied last.
    """

    _block_type_name: ClassVar[str | None] = "Kubernetes Job"
    _block_type_slug: ClassVar[str | None] = "kubernetes-job"
    _override_schemas: ClassVar[Mapping[str, JSONObject]] = {
        "job": fields.JOB,
        "resources": fields.RESOURCES,
        "tolerations": fields.list_of(fields.TOLERATION),
        "affinity": fields.AFFINITY,
        "volumes": fields.list_of(fields.VOLUME),
        "volume_mounts": fields.list_of(fields.VOLUME_MOUNT),
        "security_context": fields.SECURITY_CONTEXT,
        "pod_security_context": fields.POD_SECURITY_CONTEXT,
    }
    _previewed: ClassVar[str | None] = "job"
    _code_example: ClassVar[str | None] = """
        from penstock.infrastructure import KubernetesImagePullPolicy, KubernetesJob

        KubernetesJob(
            namespace="dev",
            image="registry.example.com/team/flows:1",
            image_pull_policy=KubernetesImagePullPolicy.IF_NOT_PRESENT,
            resources={"requests": {"cpu": "500m"}, "limits": {"memory": "2Gi"}},
            env_from_secrets=["warehouse"],
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
        title="Cluster Config",
        description="The cluster and how to get in. By default the one that the agent runs in, else what the agent's "
        "kubeconfig names.",
    )
    job: dict[str, Any] = Field(
        default_factory=manifest.base_manifest,
        title="Base Job Manifest",
        description="The manifest that the Job is made from; its first container is the flow run's.",
    )
    customizations: Customizations = Field(
        default_factory=list,
        description="Patches that are applied to the manifest after all else: operations of a JSON patch (RFC 6902), or "
        "parts of a manifest, which are merged as `kubectl patch --type strategic` does. A list, one part, or JSON or "
        "YAML text of these.",
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
        description="Seconds after which Kubernetes removes the Job that has ended, at least 60. Null: the agent removes "
        "it, at once if the run ended well, otherwise a day later.",
    )
    resources: dict[str, Any] = Field(
        default_factory=dict,
        description="What the flow run's container gets: {requests: {cpu: 500m}, limits: {memory: 2Gi}}.",
    )
    image_pull_secrets: list[str] = Field(
        default_factory=list, description="Names of the Secrets that hold logins to the image's registry."
    )
    node_selector: dict[str, str] = Field(
        default_factory=dict, description="Labels that a node must have for the pod to run on it."
    )
    tolerations: list[dict[str, Any]] = Field(
        default_factory=list, description="Taints of nodes that the pod can live with, as Kubernetes writes them."
    )
    affinity: dict[str, Any] = Field(
        default_factory=dict, description="Which nodes and other pods the pod wants near, as Kubernetes writes it."
    )
    volumes: list[dict[str, Any]] = Field(
        default_factory=list, description="Volumes of the pod, as Kubernetes writes them: {name: data, emptyDir: {}}."
    )
    volume_mounts: list[dict[str, Any]] = Field(
        default_factory=list,
        description="Where the flow run's container finds volumes: {name: data, mountPath: /data}.",
    )
    env_from_secrets: list[str] = Field(
        default_factory=list, description="Names of Secrets whose keys become environment variables."
    )
    env_from_config_maps: list[str] = Field(
        default_factory=list, description="Names of ConfigMaps whose keys become environment variables."
    )
    env_secret_keys: dict[str, str] = Field(
        default_factory=dict, description="Environment variables from Secrets: {DB_PASSWORD: NAME/KEY}."
    )
    env_config_map_keys: dict[str, str] = Field(
        default_factory=dict, description="Environment variables from ConfigMaps: {LEVEL: NAME/KEY}."
    )
    annotations: dict[str, str] = Field(default_factory=dict, description="Annotations of the Job and of its pod.")
    priority_class_name: str | None = Field(default=None, description="The priority class of the pod.")
    security_context: dict[str, Any] = Field(
        default_factory=dict,
        description="What the flow run's container may do, as Kubernetes writes it: {runAsUser: 1000}.",
    )
    pod_security_context: dict[str, Any] = Field(
        default_factory=dict, description="The same of the whole pod: {fsGroup: 1000}."
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
        return value if value is None else names.check_label(value, "namespace", "a namespace")

    @field_validator("service_account_name", "priority_class_name")
    @classmethod
    def _check_object(cls, value: str | None, info: ValidationInfo) -> str | None:
        field = str(info.field_name)
        return value if value is None else names.check_subdomain(value, field, _NOUNS[field])

    @field_validator("image_pull_secrets", "env_from_secrets", "env_from_config_maps")
    @classmethod
    def _check_objects(cls, value: list[str], info: ValidationInfo) -> list[str]:
        field = str(info.field_name)
        return [names.check_subdomain(name, f"{field}[{index}]", _NOUNS[field]) for index, name in enumerate(value)]

    @field_validator("env", "env_secret_keys", "env_config_map_keys")
    @classmethod
    def _check_variables(cls, value: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        field = str(info.field_name)
        names.check_variables(value, field)
        if field != "env":
            for name, text in value.items():
                names.split_key(text, f"{field}.{name}", _NOUNS[field])
        return value

    @field_validator("node_selector", "annotations", mode="before")
    @classmethod
    def _text_marks(cls, value: Any) -> Any:
        return text_values(value)

    @field_validator("node_selector", "annotations")
    @classmethod
    def _check_marks(cls, value: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        names.check_marks(value, str(info.field_name), values=info.field_name == "node_selector")
        return value

    @field_validator("resources", mode="before")
    @classmethod
    def _read_resources(cls, value: Any) -> Any:
        return read_resources(value)

    @field_validator("resources", "affinity", "security_context", "pod_security_context")
    @classmethod
    def _check_slips(cls, value: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        pod_fields.check_slips(value, cls._override_schemas[str(info.field_name)], str(info.field_name))
        if info.field_name == "resources":
            check_resources(value)
        return value

    @field_validator("tolerations")
    @classmethod
    def _check_tolerations(cls, value: list[dict[str, Any]]) -> list[dict[str, Any]]:
        pod_fields.check_tolerations(value)
        return value

    @field_validator("volumes")
    @classmethod
    def _check_volumes(cls, value: list[dict[str, Any]]) -> list[dict[str, Any]]:
        pod_fields.check_volumes(value)
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
    def _check_mounts(self) -> Self:
        there = [volume.get("name") for volume in self.job["spec"]["template"]["spec"].get("volumes") or []]
        pod_fields.check_mounts(self.volume_mounts, [*(volume["name"] for volume in self.volumes), *map(str, there)])
        return self

    @model_validator(mode="after")
    def _check_variables_once(self) -> Self:
        for name in {*self.env_secret_keys} | {*self.env_config_map_keys}:
            both = [field for field in _OF_VARIABLES if name in getattr(self, field)]
            if len(both) > 1:
                raise ValueError(f"the variable {name!r} is set by {' and by '.join(both)}; leave it in one of them.")
        return self

    @model_validator(mode="after")
    def _check_whole(self) -> Self:
        """The manifest with all that the fields say, and then with each customization."""
        job = manifest.as_new(copy.deepcopy(self.job))
        manifest.fill_spec(job["spec"])
        job = laid_over(job, self)
        check_consistency(job)
        if self.customizations:
            check_customizations(self.customizations, owned.with_own(manifest.shape(job), self.env))
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
        """The patches in a YAML or JSON file, for `customizations`. Raises ConfigurationError that names the file."""
        return _from_file(filename, read_customizations)

    def limits(self) -> Limits:
        limits = with_platform_limits(
            super().limits(), self, start="pod_watch_timeout_seconds", run="job_watch_timeout_seconds"
        )
        grace = self.job["spec"]["template"]["spec"].get("terminationGracePeriodSeconds")
        if not isinstance(grace, int) or self.has_own_grace():
            return limits
        return limits.model_copy(update={"grace": float(grace)})

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
