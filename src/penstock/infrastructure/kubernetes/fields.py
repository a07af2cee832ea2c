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


def list_of(items: JSONObject) -> JSONObject:
    """A place with any number of such parts."""
    return {"type": "array", "items": items}


def _merged(*places: JSONObject) -> JSONObject:
    """A place with the parts of all of them."""
    return {
        "type": "object",
        "properties": {name: part for place in places for name, part in place["properties"].items()},
    }


_METADATA = _closed(
    "name generateName namespace uid resourceVersion generation creationTimestamp deletionTimestamp "
    "deletionGracePeriodSeconds ownerReferences finalizers managedFields selfLink",
    labels=_MAP,
    annotations=_MAP,
)

# --- of a container

RESOURCES = _closed("claims", limits=_QUANTITIES, requests=_QUANTITIES)
_SECURITY_OF_BOTH = _closed(
    "appArmorProfile runAsGroup runAsNonRoot runAsUser",
    seccompProfile=_closed("localhostProfile type"),
    seLinuxOptions=_closed("level role type user"),
    windowsOptions=_closed("gmsaCredentialSpec gmsaCredentialSpecName hostProcess runAsUserName"),
)
SECURITY_CONTEXT = _merged(
    _SECURITY_OF_BOTH,
    _closed("allowPrivilegeEscalation privileged procMount readOnlyRootFilesystem", capabilities=_closed("add drop")),
)
VOLUME_MOUNT = _closed("mountPath mountPropagation name readOnly recursiveReadOnly subPath subPathExpr")
_OBJECT_KEY = _closed("key name optional")
_VARIABLE = _closed(
    "name value",
    valueFrom=_closed(
        "fileKeyRef",
        configMapKeyRef=_OBJECT_KEY,
        secretKeyRef=_OBJECT_KEY,
        fieldRef=_closed("apiVersion fieldPath"),
        resourceFieldRef=_closed("containerName divisor resource"),
    ),
)
_VARIABLES_FROM = _closed("prefix", configMapRef=_closed("name optional"), secretRef=_closed("name optional"))
CONTAINER = _closed(
    "name image imagePullPolicy command args volumeDevices workingDir lifecycle livenessProbe readinessProbe "
    "startupProbe resizePolicy restartPolicy restartPolicyRules stdin stdinOnce tty terminationMessagePath "
    "terminationMessagePolicy",
    env=list_of(_VARIABLE),
    envFrom=list_of(_VARIABLES_FROM),
    ports=list_of(_closed("containerPort hostIP hostPort name protocol")),
    resources=RESOURCES,
    securityContext=SECURITY_CONTEXT,
    volumeMounts=list_of(VOLUME_MOUNT),
)

# --- of a pod

POD_SECURITY_CONTEXT = _merged(
    _SECURITY_OF_BOTH,
    _closed("fsGroup fsGroupChangePolicy seLinuxChangePolicy supplementalGroups supplementalGroupsPolicy sysctls"),
)
TOLERATION = _closed("effect key operator tolerationSeconds value")
_PREFERRED, _REQUIRED = (
    "preferredDuringSchedulingIgnoredDuringExecution",
    "requiredDuringSchedulingIgnoredDuringExecution",
)
_NODES = _closed("matchExpressions matchFields")
_PODS = _closed("labelSelector matchLabelKeys mismatchLabelKeys namespaceSelector namespaces topologyKey")
_POD_AFFINITY = _closed(
    "", **{_PREFERRED: list_of(_closed("weight", podAffinityTerm=_PODS)), _REQUIRED: list_of(_PODS)}
)
AFFINITY = _closed(
    "",
    nodeAffinity=_closed(
        "",
        **{
            _PREFERRED: list_of(_closed("weight", preference=_NODES)),
            _REQUIRED: _closed("", nodeSelectorTerms=list_of(_NODES)),
        },
    ),
    podAffinity=_POD_AFFINITY,
    podAntiAffinity=_POD_AFFINITY,
)
VOLUME = _closed(
    "name awsElasticBlockStore azureDisk azureFile cephfs cinder csi downwardAPI ephemeral fc flexVolume flocker "
    "gcePersistentDisk gitRepo glusterfs image iscsi photonPersistentDisk portworxVolume projected quobyte rbd scaleIO "
    "storageos vsphereVolume",
    configMap=_closed("defaultMode items name optional"),
    emptyDir=_closed("medium sizeLimit"),
    hostPath=_closed("path type"),
    nfs=_closed("path readOnly server"),
    persistentVolumeClaim=_closed("claimName readOnly"),
    secret=_closed("defaultMode items optional secretName"),
)
_POD_SPEC = _closed(
    "activeDeadlineSeconds automountServiceAccountToken dnsConfig dnsPolicy enableServiceLinks ephemeralContainers "
    "hostAliases hostIPC hostNetwork hostPID hostUsers hostname hostnameOverride nodeName os overhead preemptionPolicy "
    "priority priorityClassName readinessGates resourceClaims restartPolicy runtimeClassName schedulerName "
    "schedulingGates schedulingGroup serviceAccount serviceAccountName setHostnameAsFQDN shareProcessNamespace "
    "subdomain terminationGracePeriodSeconds topologySpreadConstraints "
    # where users of Prefect 2 have them; they are moved to the Job's spec
    "parallelism completions",
    affinity=AFFINITY,
    containers=list_of(CONTAINER),
    imagePullSecrets=list_of(_closed("name")),
    initContainers=list_of(CONTAINER),
    nodeSelector=_MAP,
    resources=RESOURCES,
    securityContext=POD_SECURITY_CONTEXT,
    tolerations=list_of(TOLERATION),
    volumes=list_of(VOLUME),
)
_FAILURE_RULE = _closed(
    "action",
    onExitCodes=_closed("containerName operator values"),
    onPodConditions=list_of(_closed("status type")),
)
_JOB_SPEC = _closed(
    "parallelism completions completionMode backoffLimit backoffLimitPerIndex maxFailedIndexes activeDeadlineSeconds "
    "ttlSecondsAfterFinished suspend selector manualSelector successPolicy podReplacementPolicy managedBy",
    podFailurePolicy=_closed("", rules=list_of(_FAILURE_RULE)),
    template=_closed("", metadata=_METADATA, spec=_POD_SPEC),
)

#: A Job's manifest, in the shape of a JSON schema.
JOB = _closed("apiVersion kind status", metadata=_METADATA, spec=_JOB_SPEC)

#: How like a known name an unknown one must be to be taken for a slip, and not for a field of a newer Kubernetes.
_LIKENESS = 0.85


def refuse_slips(value: Any, schema: JSONObject = JOB) -> None:
    """Raise ValueError for a name in a manifest that is one of Kubernetes but for a letter or two.

    `schema` says which part of a manifest `value` is; by default it is a Job's whole manifest.
    """
    for where, name, meant in _slips(value, schema, ()):
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
            near = difflib.get_close_matches(str(name), known, n=1, cutoff=_LIKENESS)
            swapped = [other for other in known if sorted(other) == sorted(str(name))]
            for meant in (near or swapped)[:1]:
                yield where, str(name), meant
