"""The fields that Kubernetes knows of a Job, as far as flow runs need them told apart: names and kinds of values, at the
levels where people set them. Kubernetes drops a field that it does not know without a word. Pure."""

import difflib
from collections.abc import Iterator, Sequence
from typing import Any

from penstock.blocks.extras import holds_reference
from penstock.errors import did_you_mean
from penstock.model.base import JSONObject

TEXT: JSONObject = {"type": "string"}
NUMBER: JSONObject = {"type": "integer"}
FLAG: JSONObject = {"type": "boolean"}
_TEXTS: JSONObject = {"type": "array", "items": TEXT}
_MAP: JSONObject = {"type": "object", "additionalProperties": {"type": "string"}}
_QUANTITIES: JSONObject = {"type": "object", "additionalProperties": {}}


def _closed(
    texts: str = "", *, numbers: str = "", flags: str = "", lists: str = "", others: str = "", **described: JSONObject
) -> JSONObject:
    """A place with those parts, of which some are described further. `lists`: of texts; `others`: anything."""
    kinds: tuple[tuple[str, JSONObject], ...]
    kinds = ((texts, TEXT), (numbers, NUMBER), (flags, FLAG), (lists, _TEXTS), (others, {}))
    parts = {name: kind for names, kind in kinds for name in names.split()}
    return {"type": "object", "properties": {**parts, **described}}


def _one_of(*words: str) -> JSONObject:
    """A text that is one of these. A word that resembles none may be one of a newer Kubernetes."""
    return {"type": "string", "words": words}


def _from(least: int) -> JSONObject:
    return {"type": "integer", "minimum": least}


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
    "name generateName namespace uid resourceVersion selfLink",
    numbers="generation deletionGracePeriodSeconds",
    lists="finalizers",
    others="creationTimestamp deletionTimestamp ownerReferences managedFields",
    labels=_MAP,
    annotations=_MAP,
)

# --- of a container

RESOURCES = _closed(others="claims", limits=_QUANTITIES, requests=_QUANTITIES)
_SECURITY_OF_BOTH = _closed(
    numbers="runAsGroup runAsUser",
    flags="runAsNonRoot",
    others="appArmorProfile",
    seccompProfile=_closed("localhostProfile", type=_one_of("RuntimeDefault", "Localhost", "Unconfined")),
    seLinuxOptions=_closed("level role type user"),
    windowsOptions=_closed("gmsaCredentialSpec gmsaCredentialSpecName runAsUserName", flags="hostProcess"),
)
SECURITY_CONTEXT = _merged(
    _SECURITY_OF_BOTH,
    _closed(
        "procMount",
        flags="allowPrivilegeEscalation privileged readOnlyRootFilesystem",
        capabilities=_closed(lists="add drop"),
    ),
)
VOLUME_MOUNT = _closed(
    "mountPath name recursiveReadOnly subPath subPathExpr",
    flags="readOnly",
    mountPropagation=_one_of("None", "HostToContainer", "Bidirectional"),
)
_OBJECT_KEY = _closed("key name", flags="optional")
_VARIABLE = _closed(
    "name value",
    valueFrom=_closed(
        others="fileKeyRef",
        configMapKeyRef=_OBJECT_KEY,
        secretKeyRef=_OBJECT_KEY,
        fieldRef=_closed("apiVersion fieldPath"),
        resourceFieldRef=_closed("containerName resource", others="divisor"),
    ),
)
_OBJECT = _closed("name", flags="optional")
_VARIABLES_FROM = _closed("prefix", configMapRef=_OBJECT, secretRef=_OBJECT)
PULL_POLICY = _one_of("Always", "IfNotPresent", "Never")
CONTAINER = _closed(
    "name image workingDir restartPolicy terminationMessagePath",
    flags="stdin stdinOnce tty",
    lists="command args",
    others="volumeDevices lifecycle livenessProbe readinessProbe startupProbe resizePolicy restartPolicyRules",
    imagePullPolicy=PULL_POLICY,
    terminationMessagePolicy=_one_of("File", "FallbackToLogsOnError"),
    env=list_of(_VARIABLE),
    envFrom=list_of(_VARIABLES_FROM),
    ports=list_of(_closed("hostIP name", numbers="containerPort hostPort", protocol=_one_of("TCP", "UDP", "SCTP"))),
    resources=RESOURCES,
    securityContext=SECURITY_CONTEXT,
    volumeMounts=list_of(VOLUME_MOUNT),
)

# --- of a pod

POD_SECURITY_CONTEXT = _merged(
    _SECURITY_OF_BOTH,
    _closed(
        "seLinuxChangePolicy supplementalGroupsPolicy",
        numbers="fsGroup",
        others="supplementalGroups sysctls",
        fsGroupChangePolicy=_one_of("Always", "OnRootMismatch"),
    ),
)
#: What a toleration may say of taints: their effects, and how it compares them.
EFFECTS, OPERATORS = ("NoSchedule", "PreferNoSchedule", "NoExecute"), ("Exists", "Equal", "Lt", "Gt")
TOLERATION = _closed("key value", numbers="tolerationSeconds", effect=_one_of(*EFFECTS), operator=_one_of(*OPERATORS))
_NODE = _closed("key", lists="values", operator=_one_of("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"))
_NODES = _closed(matchExpressions=list_of(_NODE), matchFields=list_of(_NODE))
_SELECTOR = _closed(
    matchLabels=_MAP,
    matchExpressions=list_of(_closed("key", lists="values", operator=_one_of("In", "NotIn", "Exists", "DoesNotExist"))),
)
_PODS = _closed(
    "topologyKey",
    lists="matchLabelKeys mismatchLabelKeys namespaces",
    labelSelector=_SELECTOR,
    namespaceSelector=_SELECTOR,
)
_POD_AFFINITY = _closed(
    preferredDuringSchedulingIgnoredDuringExecution=list_of(_closed(numbers="weight", podAffinityTerm=_PODS)),
    requiredDuringSchedulingIgnoredDuringExecution=list_of(_PODS),
)
AFFINITY = _closed(
    nodeAffinity=_closed(
        preferredDuringSchedulingIgnoredDuringExecution=list_of(_closed(numbers="weight", preference=_NODES)),
        requiredDuringSchedulingIgnoredDuringExecution=_closed(nodeSelectorTerms=list_of(_NODES)),
    ),
    podAffinity=_POD_AFFINITY,
    podAntiAffinity=_POD_AFFINITY,
)
_ITEMS = list_of(_closed("key path", numbers="mode"))
VOLUME = _closed(
    "name",
    others="awsElasticBlockStore azureDisk azureFile cephfs cinder csi downwardAPI ephemeral fc flexVolume flocker "
    "gcePersistentDisk gitRepo glusterfs image iscsi photonPersistentDisk portworxVolume projected quobyte rbd scaleIO "
    "storageos vsphereVolume",
    configMap=_closed("name", numbers="defaultMode", flags="optional", items=_ITEMS),
    emptyDir=_closed("medium", others="sizeLimit"),
    hostPath=_closed("path type"),
    nfs=_closed("path server", flags="readOnly"),
    persistentVolumeClaim=_closed("claimName", flags="readOnly"),
    secret=_closed("secretName", numbers="defaultMode", flags="optional", items=_ITEMS),
)
_POD_SPEC = _closed(
    "dnsPolicy hostname hostnameOverride nodeName preemptionPolicy priorityClassName restartPolicy runtimeClassName "
    "schedulerName serviceAccount serviceAccountName subdomain",
    # counts: where users of Prefect 2 have them; they are moved to the Job's spec, whose kinds are held there
    numbers="priority parallelism completions",
    flags="automountServiceAccountToken enableServiceLinks hostIPC hostNetwork hostPID hostUsers setHostnameAsFQDN "
    "shareProcessNamespace",
    others="dnsConfig ephemeralContainers hostAliases os overhead readinessGates resourceClaims schedulingGates "
    "schedulingGroup topologySpreadConstraints",
    activeDeadlineSeconds=_from(1),
    terminationGracePeriodSeconds=_from(0),
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
    onExitCodes=_closed("containerName operator", others="values"),
    onPodConditions=list_of(_closed("status type")),
)
_JOB_SPEC = _closed(
    "completionMode podReplacementPolicy managedBy",
    numbers="parallelism completions maxFailedIndexes",
    flags="suspend manualSelector",
    others="selector successPolicy",
    activeDeadlineSeconds=_from(1),
    backoffLimit=_from(0),
    backoffLimitPerIndex=_from(0),
    ttlSecondsAfterFinished=_from(0),
    podFailurePolicy=_closed(rules=list_of(_FAILURE_RULE)),
    template=_closed(metadata=_METADATA, spec=_POD_SPEC),
)

#: A Job's manifest, in the shape of a JSON schema.
JOB = _closed("apiVersion kind", others="status", metadata=_METADATA, spec=_JOB_SPEC)

#: How like a known name an unknown one must be to be taken for a slip, and not for a field of a newer Kubernetes.
_LIKENESS = 0.85
#: Letters from which on the beginning of a known name is taken for it.
_BEGINNING = 8
#: kind -> what Python has for it, and how people are told of it
_KINDS: dict[str, tuple[type, str]] = {
    "array": (list, "a list"),
    "boolean": (bool, "true or false"),
    "integer": (int, "a whole number"),
    "object": (dict, "a mapping"),
    "string": (str, "a text"),
}


def refuse_slips(value: Any, schema: JSONObject = JOB) -> None:
    """Raise ValueError for a name in a manifest that is one of Kubernetes but for a letter or two, for a value of another
    kind than its place has, and for a word that is almost one of its place.

    `schema` says which part of a manifest `value` is; by default it is a Job's whole manifest.
    """
    for said in _slips(value, schema, ""):
        raise ValueError(said)


def _slips(value: Any, schema: JSONObject, where: str) -> Iterator[str]:
    """What is wrong in `value`, which stands at `where`. Null says nothing; what a reference says is not known yet."""
    if value is None or (isinstance(value, str) and holds_reference(value)):
        return
    wrong = _wrong(value, schema)
    if wrong is not None:
        yield f"{where or 'it'} is {value!r}{wrong}"
        return
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _slips(item, schema.get("items", {}), f"{where}[{index}]")
    elif isinstance(value, dict):
        yield from _slips_in_mapping(value, schema, where)


def _slips_in_mapping(value: JSONObject, schema: JSONObject, where: str) -> Iterator[str]:
    known = schema.get("properties")
    for name, item in value.items():
        if known is None or name in known:
            part = schema.get("additionalProperties", {}) if known is None else known[name]
            yield from _slips(item, part, f"{where}.{name}" if where else str(name))
            continue
        near = difflib.get_close_matches(str(name), known, n=1, cutoff=_LIKENESS)
        alike = [other for other in known if sorted(other) == sorted(str(name)) or _begins(other, str(name))]
        for meant in (near or alike)[:1]:
            yield f"there is no {name!r}{f' in {where}' if where else ''}. Did you mean {meant!r}?"


def _begins(known: str, name: str) -> bool:
    return len(name) >= _BEGINNING and known.startswith(name)


def _wrong(value: Any, schema: JSONObject) -> str | None:
    """What `value` has to be, as the end of a sentence; None if it is right, or nobody can say."""
    kind = schema.get("type")
    if kind is None:
        return None
    of_python, words = _KINDS[kind]
    if not isinstance(value, of_python) or (isinstance(value, bool) and kind != "boolean"):
        quoted = f", such as {str(value).lower()!r}" if kind == "string" and not isinstance(value, list | dict) else ""
        return f"; it has to be {words}{quoted}."
    if kind == "integer" and value < schema.get("minimum", value):
        return f"; it has to be at least {schema['minimum']}."
    known: Sequence[str] = schema.get("words", ())
    if value in known or value == "":
        return None
    meant = next((word for word in known if word.lower() == str(value).lower()), str(value))
    near = did_you_mean(meant, known)
    return f".{near} It is one of {', '.join(known)}." if near else None
