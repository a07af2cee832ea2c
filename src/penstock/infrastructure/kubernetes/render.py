"""From a KubernetesJob block and a job to the exact objects that the cluster gets. Pure.

job          the Job's manifest: the block's, then what its other fields say, then its customizations
secret       the manifest of the Secret that carries the attempt's token, named like the Job and owned by it
connection   the cluster, where the block names one
"""

import copy
import math
from typing import Any

from penstock.errors import Unsupported
from penstock.infrastructure import containers, labels
from penstock.infrastructure.base import Job
from penstock.infrastructure.job import with_block
from penstock.infrastructure.kubernetes import manifest
from penstock.infrastructure.kubernetes.config import DEFAULT_NAMESPACE, KubernetesJob
from penstock.infrastructure.patches import apply_patch
from penstock.model.base import JSONObject
from penstock.model.reasons import Reason

NAME_ANNOTATION = "penstock.io/name"


def render(config: KubernetesJob, job: Job) -> JSONObject:
    """The objects for `job`. Raises `Unsupported` if a customization does not fit, or takes the Job's identity away."""
    merged = with_block(job, config)
    found: JSONObject = copy.deepcopy(config.job)
    namespace = config.namespace or manifest.namespace_of(found) or DEFAULT_NAMESPACE
    marks = labels.for_kubernetes(merged.labels)
    metadata = _part(found, "metadata")
    metadata["name"], metadata["namespace"] = merged.name, namespace
    metadata.pop("generateName", None)
    _part(metadata, "labels").update(marks)
    _part(metadata, "annotations").update(_whole_texts(merged, marks))
    _fill_spec(found["spec"], config)
    template = found["spec"]["template"]
    _part(_part(template, "metadata"), "labels").update(marks)
    _fill_pod(template["spec"], config)
    _fill_container(template["spec"]["containers"][0], config, merged)
    found = apply_patch(config.customizations, found, "customizations")
    _refuse_other_identity(found, merged, marks)
    found_namespace = manifest.namespace_of(found) or namespace
    rendered: JSONObject = {"job": found, "secret": _secret(merged, found_namespace, marks)}
    if config.cluster_config is not None:
        rendered["connection"] = config.cluster_config.model_dump()
    return rendered


def _part(parent: JSONObject, name: str) -> JSONObject:
    """The mapping at `name`, made if it is not there."""
    if parent.get(name) is None:
        parent[name] = {}
    part: JSONObject = parent[name]
    return part


def _whole_texts(job: Job, marks: dict[str, str]) -> dict[str, str]:
    """What labels cannot hold as it is: annotations can."""
    changed = {key: value for key, value in job.labels.items() if "/" in key and marks.get(key) != value}
    return {**changed, NAME_ANNOTATION: job.title}


def _fill_spec(spec: JSONObject, config: KubernetesJob) -> None:
    for name, value in (("parallelism", 1), ("completions", 1), ("backoffLimit", 0)):
        if spec.get(name) is None:
            spec[name] = value
    if config.finished_job_ttl is not None:
        spec["ttlSecondsAfterFinished"] = config.finished_job_ttl
    limits = config.limits()
    if limits.run is not None and spec.get("activeDeadlineSeconds") is None:
        # a net below the server's own limits, for the day when nobody is left to enforce these
        spec["activeDeadlineSeconds"] = math.ceil((limits.start or 0) + limits.run + limits.grace + limits.cancel)


def _fill_pod(pod: JSONObject, config: KubernetesJob) -> None:
    if pod.get("restartPolicy") is None:
        pod["restartPolicy"] = "Never"
    if pod.get("terminationGracePeriodSeconds") is None:
        pod["terminationGracePeriodSeconds"] = math.ceil(config.grace_seconds)
    if config.service_account_name is not None:
        pod["serviceAccountName"] = config.service_account_name


def _fill_container(container: JSONObject, config: KubernetesJob, job: Job) -> None:
    if container.get("name") is None:
        container["name"] = manifest.CONTAINER_NAME
    if config.image is not None:
        container["image"] = config.image
    if config.image_pull_policy is not None:
        container["imagePullPolicy"] = config.image_pull_policy.value
    container["args"] = containers.command_of(job)
    ours: list[JSONObject] = [{"name": name, "value": value} for name, value in containers.variables_of(job).items()]
    ours += [{"name": name, "valueFrom": {"secretKeyRef": {"name": job.name, "key": name}}} for name in job.secret_env]
    taken = {*job.env, *job.secret_env}
    container["env"] = [item for item in container.get("env") or [] if item.get("name") not in taken] + ours


def _secret(job: Job, namespace: str, marks: dict[str, str]) -> JSONObject:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": job.name, "namespace": namespace, "labels": marks},
        "type": "Opaque",
        "immutable": True,
        "stringData": dict[str, Any](containers.secrets_of(job)),
    }


def _refuse_other_identity(found: JSONObject, job: Job, marks: dict[str, str]) -> None:
    """By its name and our labels the Job is found again: without them it could neither be watched nor stopped."""
    metadata = found.get("metadata") or {}
    lost = [
        key for key, value in marks.items() if key in job.labels and (metadata.get("labels") or {}).get(key) != value
    ]
    if metadata.get("name") != job.name or [key for key in lost if key.startswith("penstock.io/")]:
        raise Unsupported(
            "customizations: they change the Job's name or labels of Penstock's, by which it is found again. Use the "
            "block's field name, and labels of other names.",
            reason=Reason.CONFIGURATION_INVALID,
        )
