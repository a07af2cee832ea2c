"""KubernetesJob blocks as hypothesis makes them: every field, with what it takes."""

from typing import Any

from hypothesis import strategies as st

from penstock.infrastructure import KubernetesJob

NAMES = st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
VARIABLES = st.from_regex(r"[A-Z_][A-Z0-9_]{0,8}", fullmatch=True)
#: What a text may be that Kubernetes stores: any character but those that no JSON text has.
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
KEYS = st.builds("{}/{}".format, NAMES, NAMES)
MARKS = st.dictionaries(st.from_regex(r"([a-z]{1,5}\.io/)?[a-z]{1,8}", fullmatch=True), NAMES, max_size=3)
CPU, MEMORY = st.sampled_from(["100m", "1", "1.5", 2]), st.sampled_from(["64Mi", "1Gi", "2G", 2**30])
RESOURCES = st.fixed_dictionaries(
    {}, optional={"requests": st.fixed_dictionaries({}, optional={"cpu": st.just("50m")}), "limits": st.fixed_dictionaries({}, optional={"cpu": CPU, "memory": MEMORY})}
)  # fmt: skip
TOLERATIONS = st.lists(
    st.sampled_from(
        [
            {"operator": "Exists"},
            {"key": "gpu", "operator": "Equal", "value": "yes", "effect": "NoSchedule"},
            {"key": "spot", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60},
        ]
    ),
    max_size=2,
)
SOURCES = st.sampled_from(
    [
        {"emptyDir": {}},
        {"emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}},
        {"configMap": {"name": "levels", "items": [{"key": "a", "path": "b"}]}},
        {"secret": {"secretName": "warehouse", "defaultMode": 0o400}},
        {"persistentVolumeClaim": {"claimName": "data", "readOnly": True}},
        {"hostPath": {"path": "/srv", "type": "Directory"}},
        {"nfs": {"server": "nfs.example.org", "path": "/srv"}},
    ]
)
AFFINITIES = st.sampled_from(
    [
        {},
        {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [{"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}]
                }
            }
        },
        {
            "podAntiAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [
                    {
                        "weight": 1,
                        "podAffinityTerm": {
                            "topologyKey": "kubernetes.io/hostname",
                            "labelSelector": {"matchLabels": {"team": "data"}},
                        },
                    }
                ]
            }
        },
    ]
)
SECURITY = st.fixed_dictionaries(
    {},
    optional={
        "runAsUser": st.integers(1, 65534),
        "runAsNonRoot": st.just(True),
        "readOnlyRootFilesystem": st.booleans(),
        "allowPrivilegeEscalation": st.just(False),
        "capabilities": st.just({"drop": ["ALL"]}),
        "seccompProfile": st.just({"type": "RuntimeDefault"}),
    },
)
CONTAINER = "/spec/template/spec/containers/0"
PATCHES = st.lists(
    st.sampled_from(
        [
            {"op": "add", "path": f"{CONTAINER}/resources", "value": {"limits": {"cpu": "1"}}},
            {"op": "add", "path": "/spec/template/spec/hostNetwork", "value": True},
            {"op": "replace", "path": f"{CONTAINER}/args", "value": ["true"]},
            {"spec": {"template": {"spec": {"dnsPolicy": "Default"}}}},
            {"spec": {"template": {"spec": {"containers": [{"name": "penstock-job", "workingDir": "/srv"}]}}}},
            {"spec": {"template": {"spec": {"initContainers": [{"name": "first", "image": "busybox:1"}]}}}},
            {"metadata": {"annotations": {"example.org/a": "b"}}},
        ]
    ),
    max_size=3,
    unique_by=str,
)


@st.composite
def blocks(draw: st.DrawFn) -> KubernetesJob:
    """A block, with any of its fields."""
    names = draw(st.lists(NAMES, max_size=2, unique=True))
    # "penstock-token" cannot come out of NAMES: it is too long
    volumes: list[dict[str, Any]] = [{"name": name, **draw(SOURCES)} for name in names]
    mounts = [{"name": name, "mountPath": f"/mnt/{name}", "readOnly": draw(st.booleans())} for name in names]
    variables = draw(st.lists(VARIABLES, max_size=4, unique=True))
    fields: dict[str, Any] = {
        "image": st.sampled_from(["flows:1", "r.example.org:5000/team/flows@sha256:" + "0" * 64]),
        "env": st.dictionaries(VARIABLES.filter(lambda name: name not in variables), st.one_of(st.none(), TEXTS), max_size=4),
        "labels": st.dictionaries(st.text(max_size=12), st.text(max_size=12), max_size=4),
        "name": st.one_of(st.none(), st.text(max_size=20)),
        "command": st.one_of(st.none(), st.lists(TEXTS, min_size=1, max_size=3)),
        "namespace": st.one_of(st.none(), NAMES),
        "service_account_name": st.one_of(st.none(), NAMES),
        "image_pull_policy": st.sampled_from([None, "Always", "Never", "IfNotPresent"]),
        "finished_job_ttl": st.one_of(st.none(), st.integers(0, 1000)),
        "job_watch_timeout_seconds": st.one_of(st.none(), st.integers(1, 1000)),
        "start_timeout": st.sampled_from([600, None, 30.5]),
        "run_timeout": st.sampled_from([None, 90.5]),
        "grace_seconds": st.sampled_from([30, 0, 7.5]),
        "resources": RESOURCES,
        "image_pull_secrets": st.lists(NAMES, max_size=2, unique=True),
        "node_selector": MARKS,
        "tolerations": TOLERATIONS,
        "affinity": AFFINITIES,
        "env_from_secrets": st.lists(NAMES, max_size=2, unique=True),
        "env_from_config_maps": st.lists(NAMES, max_size=2, unique=True),
        "annotations": st.dictionaries(st.from_regex(r"([a-z]{1,5}\.io/)?[a-z]{1,8}", fullmatch=True), TEXTS, max_size=3),
        "priority_class_name": st.one_of(st.none(), st.just("system-node-critical")),
        "security_context": SECURITY,
        "pod_security_context": st.fixed_dictionaries({}, optional={"fsGroup": st.integers(1, 65534)}),
        "customizations": PATCHES,
    }  # fmt: skip
    chosen = draw(st.sets(st.sampled_from([*fields]), max_size=len(fields)))
    half = len(variables) // 2
    return KubernetesJob(
        **{"image": "flows:1", **{name: draw(fields[name]) for name in sorted(chosen)}},
        volumes=volumes,
        volume_mounts=mounts,
        env_secret_keys={name: draw(KEYS) for name in variables[:half]},
        env_config_map_keys={name: draw(KEYS) for name in variables[half:]},
    )


ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
