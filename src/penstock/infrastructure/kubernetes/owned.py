"""What of a Job is Penstock's own: customizations may not take it away. Pure.

By its name, its namespace and its labels a Job is found again, to be watched and stopped; by its token the engine in it
is let in.
"""

from collections.abc import Mapping
from typing import Any

from penstock.infrastructure.job import OWN_LABELS
from penstock.infrastructure.kubernetes import manifest, secret
from penstock.infrastructure.kubernetes.pod_fields import TOKEN_VOLUME
from penstock.infrastructure.variables import ATTEMPT_TOKEN_FILE
from penstock.model.base import JSONObject

#: In place of a name, a namespace, and a label that come with the run.
_TO_COME = "to-come"
_CONTAINER = "/spec/template/spec/containers"


def with_own(shape: JSONObject, env: Mapping[str, str | None]) -> JSONObject:
    """`shape` with what comes with a run, and with the variables `env` of the block: places, not values."""
    metadata = shape["metadata"]
    metadata |= {"name": _TO_COME, "namespace": _TO_COME}
    metadata["labels"] = {**(metadata.get("labels") or {}), f"{OWN_LABELS}owner": _TO_COME}
    pod = shape["spec"]["template"]["spec"]
    pod["volumes"] = manifest.with_item(pod["volumes"], secret.token_volume(_TO_COME), "name")
    first = pod["containers"][0]
    theirs = [item for item in first["env"] if item.get("name") not in env]
    ours = [{"name": name, "value": value} for name, value in env.items() if value is not None]
    first["env"] = [*theirs, *ours, {"name": ATTEMPT_TOKEN_FILE, "value": _TO_COME}]
    first["volumeMounts"] = manifest.with_item(first["volumeMounts"], secret.token_mount(), "mountPath")
    return shape


def refuse_loss_of_shape(shape: JSONObject) -> None:
    """Raise ValueError if what `with_own` put there is gone."""
    refuse_other_identity(shape, _TO_COME, _TO_COME, {f"{OWN_LABELS}owner": _TO_COME})
    pod = shape["spec"]["template"]["spec"]
    first, *others = pod["containers"]
    if not _has(first.get("env"), ATTEMPT_TOKEN_FILE):
        if any(_has(other.get("env"), ATTEMPT_TOKEN_FILE) for other in others):
            raise ValueError(
                f"the flow run's container has to be the first; add others after it: {_CONTAINER}/- in place of an index."
            )
        raise ValueError(
            "it takes the variables away that Penstock gives the flow run, without which it does not start; add one with "
            f"{_CONTAINER}/0/env/-, or use the block's field env."
        )
    if not _has(first.get("volumeMounts"), TOKEN_VOLUME) or not _has(pod.get("volumes"), TOKEN_VOLUME):
        raise ValueError(
            "it takes away where the flow run finds its token; add volumes with /spec/template/spec/volumes/-, mounts with "
            f"{_CONTAINER}/0/volumeMounts/-, or use the block's fields volumes and volume_mounts."
        )


def refuse_other_identity(job: JSONObject, name: str, namespace: str, marks: Mapping[str, str]) -> None:
    """Raise ValueError if `job` has another name, another namespace or not all labels of ours that are in `marks`."""
    metadata = job.get("metadata") or {}
    kept = metadata.get("labels") or {}
    lost = [key for key, value in marks.items() if key.startswith(OWN_LABELS) and kept.get(key) != value]
    if (metadata.get("name"), metadata.get("namespace")) != (name, namespace) or lost:
        raise ValueError(
            "it changes the Job's name, its namespace or labels of Penstock's, by which the Job is found again. Use the "
            "block's fields name and namespace, and labels of other names."
        )


def _has(items: Any, name: str) -> bool:
    return any(item.get("name") == name for item in items or ())
