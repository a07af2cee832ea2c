"""The manifest that a Kubernetes Job is made from: the base, what yours must have, where patches can reach. Pure."""

import copy
from collections.abc import Mapping
from typing import Any

from penstock.errors import did_you_mean
from penstock.model.base import JSONObject

CONTAINER_NAME = "penstock-job"
_API_VERSION, _KIND = "batch/v1", "Job"
_COUNTS = ("parallelism", "completions")
#: Metadata, and labels of what a Job selects, that the API server writes itself and does not take from others.
_WRITTEN = (
    "creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "generateName", "generation", "managedFields",
    "ownerReferences", "resourceVersion", "selfLink", "uid",
)  # fmt: skip
_LABELS_WRITTEN = (
    "controller-uid", "job-name", "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name",
)  # fmt: skip
#: A pod that was evicted, preempted or drained away fails the Job with that as its reason, which outlives the pod.
_FAILURE_POLICY: JSONObject = {
    "rules": [{"action": "FailJob", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]
}


def base_manifest() -> JSONObject:
    """A Job of one pod that is started once, whose first container is the flow run's."""
    return {
        "apiVersion": _API_VERSION,
        "kind": _KIND,
        "metadata": {"labels": {}},
        "spec": {
            "parallelism": 1,
            "completions": 1,
            "backoffLimit": 0,
            "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": CONTAINER_NAME, "env": []}]}},
        },
    }


def read_manifest(value: Any) -> JSONObject:
    """A manifest from a mapping or its YAML or JSON text, fit to run a flow run. Raises ValueError that names the place.

    Counts that stand in the pod's spec, where users of Prefect 2 have them, are moved to where Kubernetes reads them.
    """
    if isinstance(value, str):
        value = _parse(value)
    if not isinstance(value, Mapping):
        raise ValueError(
            f"a Job's manifest is a mapping, or its YAML or JSON text, not {value!r:.60}. Of a file, "
            "KubernetesJob.job_from_file gives it."
        )
    job: JSONObject = copy.deepcopy(dict(value))
    for name, right in (("apiVersion", _API_VERSION), ("kind", _KIND)):
        found = _child(job, name, ())
        if found != right:
            raise ValueError(f"{name} is {found!r}; it has to be {right!r}.")
    _check_metadata(job, ())
    spec = _mapping(job, "spec", ())
    template = _mapping(spec, "template", ("spec",))
    _check_metadata(template, ("spec", "template"))
    pod = _mapping(template, "spec", ("spec", "template"))
    _check_containers(_child(pod, "containers", ("spec", "template", "spec")))
    _move_counts(pod, spec)
    policy = pod.get("restartPolicy", "Never")
    if policy != "Never":
        raise ValueError(
            f"spec.template.spec.restartPolicy is {policy!r}; it has to be 'Never', or Kubernetes would start the "
            "flow run again on its own. Use the flow's retries."
        )
    return job


def check_images(job: JSONObject) -> None:
    """Raise ValueError if a container besides the flow run's has no name or no image: Kubernetes would refuse the Job."""
    pod = job["spec"]["template"]["spec"]
    containers = [("containers", index, item) for index, item in enumerate(pod["containers"])][1:]
    containers += [("initContainers", index, item) for index, item in enumerate(pod.get("initContainers") or [])]
    own = str(pod["containers"][0].get("name") or CONTAINER_NAME)
    for kind, index, container in containers:
        for member in ("name", "image"):
            if not container.get(member):
                near = did_you_mean(str(container.get("name")), [own]) if kind == "containers" else ""
                raise ValueError(
                    f"spec.template.spec.{kind}[{index}] has no {member}; only the flow run's container, {own!r}, gets "
                    f"one by itself.{near}"
                )


def container_image(job: JSONObject) -> str | None:
    """The image that the manifest gives the flow run's container, if it does."""
    found = job["spec"]["template"]["spec"]["containers"][0].get("image")
    return str(found) if found else None


def namespace_of(job: JSONObject) -> str | None:
    """The namespace that the manifest names, if it does."""
    found = (job.get("metadata") or {}).get("namespace")
    return str(found) if found else None


def without_empty(value: Any) -> Any:
    """`value` without nulls, and without logins that name no Secret: Kubernetes would look for one without a name."""
    if isinstance(value, list):
        return [without_empty(item) for item in value if item is not None]
    if not isinstance(value, dict):
        return value
    found = {name: without_empty(item) for name, item in value.items() if item is not None}
    logins = found.get("imagePullSecrets")
    if isinstance(logins, list):
        found["imagePullSecrets"] = [item for item in logins if item and item.get("name")]
        if not found["imagePullSecrets"]:
            del found["imagePullSecrets"]
    return found


def part(parent: JSONObject, name: str) -> JSONObject:
    """The mapping at `name` of `parent`, made if it is not there."""
    if parent.get(name) is None:
        parent[name] = {}
    found: JSONObject = parent[name]
    return found


def with_item(items: list[JSONObject] | None, item: JSONObject, key: str) -> list[JSONObject]:
    """`items` with `item` after them, in place of one that is told apart by the same."""
    return [*(there for there in items or [] if there.get(key) != item[key]), item]


def as_new(job: JSONObject) -> JSONObject:
    """`job` without what the API server has written into it, should it be a copy of a Job that was made before."""
    found = {name: value for name, value in job.items() if name != "status"}
    selected = not job["spec"].get("manualSelector")
    for holder in (found, found["spec"]["template"]):
        metadata = holder.get("metadata")
        if metadata is not None:
            holder["metadata"] = {name: value for name, value in metadata.items() if name not in _WRITTEN}
            labels = holder["metadata"].get("labels") or {}
            holder["metadata"]["labels"] = {
                key: value for key, value in labels.items() if not (selected and key in _LABELS_WRITTEN)
            }
    if selected:
        found["spec"].pop("selector", None)
    return found


def fill_spec(spec: JSONObject) -> None:
    """Set in a Job's spec what a flow run needs and the manifest leaves open: one pod, which is started once."""
    _fill(spec, {"parallelism": 1, "completions": 1, "backoffLimit": 0})
    _fill(spec["template"]["spec"], {"restartPolicy": "Never"})
    _fill(spec["template"]["spec"]["containers"][0], {"name": CONTAINER_NAME})
    if spec["backoffLimit"] == 0:
        _fill(spec, {"podFailurePolicy": copy.deepcopy(_FAILURE_POLICY)})


def keep_last_words(pod: JSONObject) -> None:
    """Let what an init container printed last stand in its status when it fails, where the manifest leaves that open."""
    for container in pod.get("initContainers") or ():
        _fill(container, {"terminationMessagePolicy": "FallbackToLogsOnError"})


def shape(job: JSONObject) -> JSONObject:
    """`job`, in which its spec is filled, with every other place that is there when a run is started."""
    whole = copy.deepcopy(job)
    spec, template = whole["spec"], whole["spec"]["template"]
    _fill(whole, {"metadata": {}})
    _fill(whole["metadata"], {"name": "", "namespace": "", "labels": {}, "annotations": {}})
    _fill(spec, {"ttlSecondsAfterFinished": 0, "activeDeadlineSeconds": 1})
    _fill(template, {"metadata": {}})
    _fill(template["metadata"], {"labels": {}, "annotations": {}})
    _fill(template["spec"], {"serviceAccountName": "", "volumes": [], "terminationGracePeriodSeconds": 0})
    container = {"image": "", "imagePullPolicy": "", "args": [], "env": [], "volumeMounts": []}
    _fill(template["spec"]["containers"][0], container)
    return whole


def _fill(target: JSONObject, values: JSONObject) -> None:
    for name, value in values.items():
        if target.get(name) is None:
            target[name] = value


def _check_metadata(parent: JSONObject, above: tuple[str, ...]) -> None:
    metadata = parent.get("metadata")
    if not isinstance(metadata, dict | None):
        raise ValueError(f"{'.'.join((*above, 'metadata'))} is no mapping.")
    if not isinstance((metadata or {}).get("labels"), dict | None):
        raise ValueError(f"{'.'.join((*above, 'metadata', 'labels'))} is no mapping.")


def _check_containers(containers: Any) -> None:
    if not isinstance(containers, list) or not containers:
        raise ValueError("spec.template.spec.containers is a list whose first item is the flow run's container.")
    for index, container in enumerate(containers):
        if not isinstance(container, Mapping):
            raise ValueError(f"spec.template.spec.containers[{index}] is no mapping.")
        if not isinstance(container.get("env"), list | None):
            raise ValueError(
                f"spec.template.spec.containers[{index}].env is a list of {{name: …, value: …}}; the block's own "
                "field env takes a mapping."
            )


def _move_counts(pod: JSONObject, spec: JSONObject) -> None:
    for name in _COUNTS:
        if name in pod:
            spec.setdefault(name, pod.pop(name))
        count = spec.get(name, 1)
        if count != 1:
            raise ValueError(f"{name} is {count!r}; a flow run is one pod, so it has to be 1.")


def _mapping(parent: JSONObject, name: str, above: tuple[str, ...]) -> JSONObject:
    found = _child(parent, name, above)
    if not isinstance(found, dict):
        raise ValueError(f"{'.'.join((*above, name))} is no mapping.")
    return found


def _child(parent: Mapping[str, Any], name: str, above: tuple[str, ...]) -> Any:
    if name not in parent:
        raise ValueError(f"{'.'.join((*above, name))} is missing.{_instead(name, parent)}")
    return parent[name]


def _instead(name: str, parent: Mapping[str, Any]) -> str:
    near = did_you_mean(name, map(str, parent))
    return f" It has {near.split(chr(39))[1]!r} instead." if near else ""


def _parse(text: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"it is neither YAML nor JSON: {error}") from None
