"""From a KubernetesJob block and a job to the exact objects that the cluster gets. Pure.

namespace    where both objects are made
secret       the Secret: the attempt's token, which the pod gets as a file, and variables that are named like secrets.
             Its name is the Job's; its values are `SecretStr`, all else is plain JSON
job          the Job: the block's manifest, what its other fields say, its customizations. Its first container is the flow
             run's. Nothing in it is secret
connection   the cluster, where the block names one

The Job is made first, then the Secret as its property (`metadata.ownerReferences`), so that Kubernetes removes both
together and no Secret is ever left alone. A pod that is quicker than its Secret waits for it, because the token is a file
of a volume.
"""

import copy
import json
from typing import Any

from pydantic import SecretStr

from penstock.errors import Unsupported
from penstock.infrastructure import containers, labels
from penstock.infrastructure.base import Job
from penstock.infrastructure.job import OWN_LABELS, with_block
from penstock.infrastructure.kubernetes import manifest, owned, secret
from penstock.infrastructure.kubernetes.config import DEFAULT_NAMESPACE, KubernetesJob
from penstock.infrastructure.kubernetes.consistency import containers_of
from penstock.infrastructure.kubernetes.customizations import customized
from penstock.infrastructure.kubernetes.deadlines import fill_deadlines, hold_ended
from penstock.infrastructure.kubernetes.literals import quoted
from penstock.infrastructure.kubernetes.quantities import read_resources
from penstock.infrastructure.kubernetes.shortcuts import laid_over
from penstock.model.base import JSONObject
from penstock.model.reasons import Reason

NAME_ANNOTATION = "penstock.io/name"
#: The block's labels that Kubernetes does not take as they are, as they are: a JSON object.
LABELS_ANNOTATION = "penstock.io/labels"


def render(config: KubernetesJob, job: Job) -> JSONObject:
    """The objects for `job`. Raises `Unsupported` if a customization does not fit, or takes the Job's identity away."""
    merged = with_block(job, config)
    found = manifest.as_new(copy.deepcopy(config.job))
    namespace = config.namespace or manifest.namespace_of(found) or DEFAULT_NAMESPACE
    marks = labels.for_kubernetes(merged.labels)
    _fill_metadata(found, merged, namespace, marks)
    manifest.fill_spec(found["spec"])
    fill_deadlines(found["spec"], config)
    found = laid_over(found, config)
    _fill_pod(found["spec"]["template"]["spec"], merged)
    found = manifest.without_empty(customized(config.customizations, found))
    _refuse_other_identity(found, merged, namespace, marks)
    hold_ended(found["spec"])
    _spell_amounts(found["spec"]["template"]["spec"])
    manifest.keep_last_words(found["spec"]["template"]["spec"])
    held = secret.contents(merged)
    secret.conceal(found["spec"]["template"]["spec"], merged.name, held)
    rendered: JSONObject = {"namespace": namespace, "secret": _secret(merged, namespace, marks, held), "job": found}
    if config.cluster_config is not None:
        rendered["connection"] = config.cluster_config.model_dump()
    return rendered


def _fill_metadata(found: JSONObject, job: Job, namespace: str, marks: dict[str, str]) -> None:
    metadata = manifest.part(found, "metadata")
    metadata["name"], metadata["namespace"] = job.name, namespace
    manifest.part(metadata, "labels").update(marks)
    manifest.part(metadata, "annotations").update(_whole_texts(job, marks))
    template = manifest.part(found["spec"]["template"], "metadata")
    manifest.part(template, "labels").update(marks)


def _whole_texts(job: Job, marks: dict[str, str]) -> dict[str, str]:
    """What labels cannot hold as it is: annotations can. Ours under their own keys, all others in one."""
    changed = {key: value for key, value in job.labels.items() if marks.get(key) != value}
    ours = {key: value for key, value in changed.items() if key.startswith(OWN_LABELS)}
    theirs = {key: value for key, value in changed.items() if key not in ours}
    found = {NAME_ANNOTATION: job.title, **ours}
    return {**found, LABELS_ANNOTATION: json.dumps(theirs, ensure_ascii=False)} if theirs else found


def _fill_pod(pod: JSONObject, job: Job) -> None:
    """What the job itself brings: command, variables, and the way to its token."""
    container = pod["containers"][0]
    container["args"] = [quoted(word) for word in containers.command_of(job)]
    variables = containers.variables_of(job).items()
    ours: list[JSONObject] = [{"name": name, "value": quoted(value)} for name, value in variables]
    references = secret.references(job)
    taken = {*job.env, *job.secret_env, *(item["name"] for item in references)}
    theirs = [item for item in container.get("env") or [] if item.get("name") not in taken]
    container["env"] = [*theirs, *ours, *references]
    mount, volume = secret.token_mount(), secret.token_volume(job.name)
    container["volumeMounts"] = manifest.with_item(container.get("volumeMounts"), mount, "mountPath")
    pod["volumes"] = manifest.with_item(pod.get("volumes"), volume, "name")


def _secret(job: Job, namespace: str, marks: dict[str, str], held: dict[str, SecretStr]) -> JSONObject:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": job.name, "namespace": namespace, "labels": marks},
        "type": "Opaque",
        "immutable": True,
        "stringData": dict[str, Any](held),
    }


def _refuse_other_identity(found: JSONObject, job: Job, namespace: str, marks: dict[str, str]) -> None:
    try:
        owned.refuse_other_identity(found, job.name, namespace, marks)
    except ValueError as error:
        raise Unsupported(f"customizations: {error}", reason=Reason.CONFIGURATION_INVALID) from None


def _spell_amounts(pod: JSONObject) -> None:
    """Amounts of resources in Kubernetes's spelling, wherever they come from."""
    for _, container in containers_of(pod):
        if container.get("resources"):
            container["resources"] = read_resources(container["resources"])
