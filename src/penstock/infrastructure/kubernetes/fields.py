"""The fields that Kubernetes knows of a Job, as far as flow runs need them told apart: names only, at the levels where
people set them. Kubernetes drops a field that it does not know without a word. Pure."""

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
