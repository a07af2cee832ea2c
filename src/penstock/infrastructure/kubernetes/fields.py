"""The fields that Kubernetes knows of a Job, as far as flow runs need them told apart: names only, at the levels where
people set them. Kubernetes drops a field that it does not know without a word. Pure."""

import difflib
from collections.abc import Iterator
from typing import Any

from penstock.infrastructure.override_places import Places
from penstock.model.base import JSONObject

_MAP: JSONObject = {"type": "object", "additionalProperties": {"type": "string"}}
_QUANTITIES: JSONObject = {"type": "object", "additionalProperties": {}}


def _closed(names: str, **described: JSONObject) -> JSONObject:
    """A place with those parts, of which some are described further."""
    return {"type": "object", "properties": {**{name: {} for name in names.split()}, **described}}


def _list_of(items: JSONObject) -> JSONObject:
    return {"type": "array", "items": items}


_METADATA = _closed(
    "name generateName namespace uid resourceVersion generation creationTimestamp deletionTimestamp "
    "deletionGracePeriodSeconds ownerReferences finalizers managedFields selfLink",
    labels=_MAP,
    annotations=_MAP,
)
_RESOURCES = _closed("claims", limits=_QUANTITIES, requests=_QUANTITIES)
_CONTAINER = _closed(
    "name image imagePullPolicy command args env envFrom ports volumeMounts volumeDevices workingDir lifecycle "
    "livenessProbe readinessProbe startupProbe resizePolicy restartPolicy restartPolicyRules securityContext stdin "
    "stdinOnce tty terminationMessagePath terminationMessagePolicy",
    resources=_RESOURCES,
)
_POD_SPEC = _closed(
    "activeDeadlineSeconds affinity automountServiceAccountToken dnsConfig dnsPolicy enableServiceLinks "
    "ephemeralContainers hostAliases hostIPC hostNetwork hostPID hostUsers hostname hostnameOverride imagePullSecrets "
    "nodeName os overhead preemptionPolicy priority priorityClassName readinessGates resourceClaims restartPolicy "
    "runtimeClassName schedulerName schedulingGates securityContext serviceAccount serviceAccountName setHostnameAsFQDN "
    "shareProcessNamespace subdomain terminationGracePeriodSeconds tolerations topologySpreadConstraints volumes "
    # where users of Prefect 2 have them; they are moved to the Job's spec
    "parallelism completions",
    nodeSelector=_MAP,
    resources=_RESOURCES,
    containers=_list_of(_CONTAINER),
    initContainers=_list_of(_CONTAINER),
)
_JOB_SPEC = _closed(
    "parallelism completions completionMode backoffLimit backoffLimitPerIndex maxFailedIndexes activeDeadlineSeconds "
    "ttlSecondsAfterFinished suspend selector manualSelector podFailurePolicy successPolicy podReplacementPolicy managedBy",
    template=_closed("", metadata=_METADATA, spec=_POD_SPEC),
)

#: A Job's manifest, in the shape of a JSON schema.
JOB = _closed("apiVersion kind status", metadata=_METADATA, spec=_JOB_SPEC)

#: How like a known name an unknown one must be to be taken for a slip, and not for a field of a newer Kubernetes.
_LIKENESS = 0.85


def refuse_slips(job: JSONObject) -> None:
    """Raise ValueError for a name in a manifest that is one of Kubernetes but for a letter or two."""
    for where, name, meant in _slips(job, JOB, ()):
        place = f" in {'.'.join(where)}" if where else ""
        raise ValueError(f"there is no {name!r}{place}. Did you mean {meant!r}?")


def _slips(value: Any, schema: JSONObject, where: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str, str]]:
    places = Places(JOB)
    if isinstance(value, list) and schema.get("type") == "array":
        for index, item in enumerate(value):
            yield from _slips(item, places.part(schema, str(index)), (*where, str(index)))
    known = places.names(schema)
    if not isinstance(value, dict) or known is None:
        return
    for name, item in value.items():
        if name in known:
            yield from _slips(item, places.part(schema, name), (*where, name))
        else:
            for meant in difflib.get_close_matches(str(name), known, n=1, cutoff=_LIKENESS):
                yield where, str(name), meant
