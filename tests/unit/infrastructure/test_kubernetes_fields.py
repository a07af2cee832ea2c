"""Fields of KubernetesJob that have a place in the manifest, its customizations in both forms, and what they refuse."""

import json
import re
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from penstock.errors import ConfigurationError
from penstock.infrastructure import KubernetesImagePullPolicy, KubernetesJob
from penstock.infrastructure.effective import Layer, effective
from penstock.infrastructure.kubernetes.quantities import quantity
from penstock.infrastructure.registry import render
from penstock.infrastructure.sample import sample_job

JOB = sample_job("http://penstock.example.org/api", {})
CONTAINER = "/spec/template/spec/containers/0"
MOUNT = {"name": "data", "mountPath": "/data"}
VOLUME: dict[str, Any] = {"name": "data", "emptyDir": {}}


def pod(block: KubernetesJob) -> Any:
    return render(block, JOB)["job"]["spec"]["template"]["spec"]


def container(**fields: Any) -> Any:
    return pod(KubernetesJob(image="flows:1", **fields))["containers"][0]


@pytest.mark.parametrize(
    ("fields", "place", "sent"),
    [
        ({"resources": {"limits": {"cpu": 1}, "requests": {}}}, "containers.0.resources", {"limits": {"cpu": "1"}}),
        ({"image_pull_secrets": ["a", "b"]}, "imagePullSecrets", [{"name": "a"}, {"name": "b"}]),
        ({"node_selector": {"gpu": True}}, "nodeSelector", {"gpu": "True"}),
        ({"tolerations": [{"operator": "Exists"}]}, "tolerations", [{"operator": "Exists"}]),
        ({"priority_class_name": "high"}, "priorityClassName", "high"),
        ({"service_account_name": "runner"}, "serviceAccountName", "runner"),
        ({"image_pull_policy": KubernetesImagePullPolicy.ALWAYS}, "containers.0.imagePullPolicy", "Always"),
        ({"env_from_secrets": ["s"]}, "containers.0.envFrom", [{"secretRef": {"name": "s"}}]),
        ({"env_from_config_maps": ["c"]}, "containers.0.envFrom", [{"configMapRef": {"name": "c"}}]),
        (
            {"env_secret_keys": {"PW": "db/pw"}},
            "containers.0.env.0",
            {"name": "PW", "valueFrom": {"secretKeyRef": {"name": "db", "key": "pw"}}},
        ),
        (
            {"env_config_map_keys": {"L": "c/l"}},
            "containers.0.env.0",
            {"name": "L", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "l"}}},
        ),
        ({"volumes": [VOLUME]}, "volumes.0", VOLUME),
        ({"volumes": [VOLUME], "volume_mounts": [MOUNT]}, "containers.0.volumeMounts.0", MOUNT),
        ({"security_context": {"runAsUser": 7}}, "containers.0.securityContext", {"runAsUser": 7}),
        ({"pod_security_context": {"fsGroup": 7}}, "securityContext", {"fsGroup": 7}),
        ({"affinity": {"nodeAffinity": {"a": {}}}}, "affinity", {"nodeAffinity": {"a": {}}}),
    ],
)
def test_each_field_has_its_place(fields: dict[str, Any], place: str, sent: Any) -> None:
    found = pod(KubernetesJob(image="flows:1", **fields))
    for part in place.split("."):
        found = found[int(part)] if part.isdigit() else found[part]
    assert found == sent


def test_annotations_are_on_the_job_and_on_its_pod() -> None:
    job = render(KubernetesJob(image="flows:1", annotations={"example.org/a": "b"}), JOB)["job"]
    assert job["metadata"]["annotations"]["example.org/a"] == "b"
    assert job["spec"]["template"]["metadata"]["annotations"] == {"example.org/a": "b"}


def test_fields_add_to_the_manifest_and_win_where_both_say_something() -> None:
    job = KubernetesJob.base_job_manifest()
    theirs = job["spec"]["template"]["spec"]
    theirs["containers"][0] |= {
        "resources": {"limits": {"cpu": "4", "memory": "1Gi"}},
        "envFrom": [{"secretRef": {"name": "old"}}],
        "env": [{"name": "PW", "value": "x"}],
    }
    theirs |= {
        "volumes": [{"name": "data", "hostPath": {"path": "/srv"}}, {"name": "kept", "emptyDir": {}}],
        "tolerations": [{"key": "a", "operator": "Exists"}],
        "nodeSelector": {"disk": "slow", "zone": "a"},
        "imagePullSecrets": [{"name": "old"}],
    }
    found = pod(
        KubernetesJob(
            image="flows:1",
            job=job,
            resources={"limits": {"cpu": "1"}},
            env_from_secrets=["new"],
            env_secret_keys={"PW": "db/pw"},
            volumes=[VOLUME],
            tolerations=[{"key": "b", "operator": "Exists"}],
            node_selector={"disk": "fast"},
            image_pull_secrets=["new"],
        )
    )
    first = found["containers"][0]
    assert first["resources"]["limits"] == {"cpu": "1", "memory": "1Gi"}
    assert [source["secretRef"]["name"] for source in first["envFrom"]] == ["old", "new"]
    (variable,) = [item for item in first["env"] if item["name"] == "PW"]
    assert variable == {"name": "PW", "valueFrom": {"secretKeyRef": {"name": "db", "key": "pw"}}}
    assert found["volumes"][:2] == [VOLUME, {"name": "kept", "emptyDir": {}}]
    assert [toleration["key"] for toleration in found["tolerations"]] == ["a", "b"]
    assert found["nodeSelector"] == {"disk": "fast", "zone": "a"}
    assert [login["name"] for login in found["imagePullSecrets"]] == ["old", "new"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"resources": {"limit": {"cpu": "1"}}}, "Did you mean 'limits'"),
        ({"resources": {"limits": {"memory": "2GB"}}}, r"resources.limits.memory: '2GB' is no amount"),
        ({"resources": {"limits": {"memory": "512m"}}}, "Did you mean 512Mi"),
        ({"resources": {"limits": {"cpu": True}}}, "an amount is a text or a number"),
        ({"resources": {"limits": "1"}}, "resources: limits is '1'; it has to be a mapping"),
        ({"resources": {"limits": {"cpu": "-1"}}}, "less than nothing"),
        ({"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1500m"}}}, "more than its limit, 1500m"),
        ({"image_pull_secrets": [""]}, r"image_pull_secrets\[0\] is ''"),
        ({"image_pull_secrets": [{}]}, "valid string"),
        ({"env_from_secrets": ["A_B"]}, "no Secret of Kubernetes"),
        ({"env_from_config_maps": ["A B"]}, "no ConfigMap of Kubernetes"),
        ({"env_secret_keys": {"PW": "db"}}, "write NAME/KEY"),
        ({"env_secret_keys": {"PW": "db/a b"}}, "a key has letters"),
        ({"env_secret_keys": {"1PW": "db/pw"}}, "no variable '1PW'"),
        ({"env": {"A B": "1"}}, "no variable 'A B'"),
        ({"env": {"PW": "1"}, "env_secret_keys": {"PW": "db/pw"}}, "is set by env and by env_secret_keys"),
        (
            {"env_config_map_keys": {"PW": "a/b"}, "env_secret_keys": {"PW": "db/pw"}},
            "by env_secret_keys and by env_con",
        ),
        ({"node_selector": {"a b": "c"}}, "'a b' is no key"),
        ({"node_selector": {"a": "b c"}}, "no label of Kubernetes can be"),
        ({"annotations": {"/a": "c"}}, "annotations: the domain of '/a'"),
        ({"priority_class_name": "High"}, "no priority class of Kubernetes"),
        ({"tolerations": [{"key": "a", "efect": "NoSchedule"}]}, "Did you mean 'effect'"),
        ({"tolerations": [{"key": "a", "effect": "NoShedule"}]}, "Did you mean 'NoSchedule'"),
        ({"tolerations": [{"key": "a", "operator": "Exist"}]}, "Did you mean 'Exists'"),
        ({"tolerations": [{"key": "a", "operator": "Exists", "value": "x"}]}, "there is no value"),
        ({"tolerations": [{"value": "x"}]}, "has no key"),
        ({"tolerations": [{"key": "a", "value": "b", "tolerationSeconds": 1}]}, "goes with the effect NoExecute"),
        ({"affinity": {"nodeAfinity": {}}}, "Did you mean 'nodeAffinity'"),
        ({"volumes": [{"emptyDir": {}}]}, r"volumes\[0\] has no name"),
        ({"volumes": [VOLUME, VOLUME]}, "is there twice"),
        ({"volumes": [{"name": "data"}]}, "needs one source.*it has none"),
        ({"volumes": [{**VOLUME, "hostPath": {"path": "/"}}]}, "it has emptyDir, hostPath"),
        ({"volumes": [{"name": "data", "emtpyDir": {}}]}, "Did you mean 'emptyDir'"),
        ({"volumes": [{"name": "penstock-token", "emptyDir": {}}]}, "is Penstock's own"),
        ({"volume_mounts": [MOUNT]}, "there is no volume 'data'. There is none"),
        ({"volumes": [VOLUME], "volume_mounts": [{**MOUNT, "name": "dat"}]}, "Did you mean 'data'"),
        ({"volumes": [VOLUME], "volume_mounts": [{**MOUNT, "mountPath": "data"}]}, "begins with '/'"),
        ({"volumes": [VOLUME], "volume_mounts": [MOUNT, MOUNT]}, "there twice"),
        ({"volumes": [VOLUME], "volume_mounts": [{**MOUNT, "mountPath": "/run/penstock"}]}, "Penstock's own place"),
        ({"volumes": [VOLUME], "volume_mounts": [{**MOUNT, "readonly": True}]}, "Did you mean 'readOnly'"),
        ({"security_context": {"runAsuser": 1}}, "Did you mean 'runAsUser'"),
        ({"pod_security_context": {"fsgroup": 1}}, "Did you mean 'fsGroup'"),
        ({"node_selectors": {}}, "Did you mean 'node_selector'"),
    ],
)
def test_what_kubernetes_would_refuse_or_drop_is_refused_where_it_is_written(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        KubernetesJob(image="flows:1", **fields)


@pytest.mark.parametrize(
    ("text", "number"),
    [("500m", "0.5"), ("1.5", "1.5"), ("2Ki", "2048"), ("1e3", "1000"), ("1E", "1e18"), (".5", "0.5"), ("1Ei", str(2**60))],
)  # fmt: skip
def test_amounts_are_read_as_kubernetes_reads_them(text: str, number: str) -> None:
    assert quantity(text) == float(number)


@pytest.mark.parametrize(
    ("overrides", "place", "sent"),
    [
        ({"resources.limits.memory": "2Gi"}, "containers.0.resources.limits.memory", "2Gi"),
        ({"resources.limits.nvidia\\.com/gpu": 1}, "containers.0.resources.limits", {"nvidia.com/gpu": "1"}),
        ({"node_selector.kubernetes.io/arch": "arm64"}, "nodeSelector", {"kubernetes.io/arch": "arm64"}),
        ({"image_pull_secrets": '["a"]'}, "imagePullSecrets", [{"name": "a"}]),
        ({"tolerations.0.operator": "Exists"}, "tolerations", [{"operator": "Exists"}]),
        ({"env_secret_keys.PW": "db/pw"}, "containers.0.env.0.valueFrom.secretKeyRef.key", "pw"),
        ({"volumes": [VOLUME], "volume_mounts.0": MOUNT}, "containers.0.volumeMounts.0", MOUNT),
        ({"security_context.runAsUser": 7}, "containers.0.securityContext.runAsUser", 7),
        ({"customizations": {"spec": {"template": {"spec": {"hostNetwork": True}}}}}, "hostNetwork", True),
        ({"customizations": '{"spec": {"template": {"spec": {"hostNetwork": true}}}}'}, "hostNetwork", True),
    ],
)
def test_the_fields_can_be_overridden_with_dots(overrides: dict[str, Any], place: str, sent: Any) -> None:
    block = effective("kubernetes-job", None, [Layer("infra_overrides", overrides)]).infrastructure
    found = render(block, JOB)["job"]["spec"]["template"]["spec"]
    for part in re.split(r"\.", place):
        found = found[int(part)] if part.isdigit() else found[part]
    assert found == sent


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"resources.limit.cpu": "1"}, "Did you mean 'limits'"),
        ({"tolerations.0.efect": "x"}, "Did you mean 'effect'"),
        ({"volumes.0.emptydir": {}}, "Did you mean 'emptyDir'"),
        ({"volume_mounts.0.mountpath": "/x"}, "Did you mean 'mountPath'"),
        ({"security_context.runAsUsr": 1}, "Did you mean 'runAsUser'"),
        ({"affinity.podAfinity": {}}, "Did you mean 'podAffinity'"),
        ({"resource.limits.cpu": "1"}, "Did you mean 'resources'"),
    ],
)
def test_a_slip_in_an_override_of_theirs_is_told(overrides: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        effective("kubernetes-job", None, [Layer("infra_overrides", overrides)])


# --- customizations

#: As the manual of Prefect 2 has them.
OF_THE_MANUAL: list[dict[str, Any]] = [
    {
        "op": "add",
        "path": f"{CONTAINER}/resources",
        "value": {"requests": {"cpu": "2000m", "memory": "4Gi"}, "limits": {"cpu": "4000m", "memory": "8Gi"}},
    }
]  # fmt: skip
TOLERATE = {"op": "add", "path": "/spec/template/spec/tolerations", "value": [{"operator": "Exists"}]}
MERGE = {"spec": {"template": {"spec": {"containers": [{"name": "penstock-job", "workingDir": "/srv"}]}}}}


def test_the_example_of_the_manual_runs() -> None:
    block = KubernetesJob(
        namespace="dev",
        image="flows:1",
        image_pull_policy=KubernetesImagePullPolicy.ALWAYS,
        finished_job_ttl=300,
        job_watch_timeout_seconds=600,
        pod_watch_timeout_seconds=600,
        service_account_name="prefect-server",
        customizations=OF_THE_MANUAL,
    )
    assert pod(block)["containers"][0]["resources"] == OF_THE_MANUAL[0]["value"]
    overridden = effective("kubernetes-job", None, [Layer("infra_overrides", {"customizations": OF_THE_MANUAL})])
    assert getattr(overridden.infrastructure, "customizations") == OF_THE_MANUAL  # noqa: B009


@pytest.mark.parametrize(
    "value",
    [
        MERGE,
        [MERGE],
        json.dumps(MERGE),
        yaml.safe_dump(MERGE),
        yaml.safe_dump([MERGE]),
    ],
)
def test_a_part_of_a_manifest_is_merged_in_whatever_form_it_comes(value: Any) -> None:
    block = KubernetesJob(image="flows:1", customizations=value)
    assert block.customizations == [MERGE]
    first = pod(block)["containers"][0]
    assert (first["workingDir"], first["image"]) == ("/srv", "flows:1")
    assert KubernetesJob.model_validate(block.to_document_data()) == block


def test_both_forms_can_be_mixed_and_come_in_their_order() -> None:
    operation = {"op": "replace", "path": f"{CONTAINER}/workingDir", "value": "/other"}
    assert container(customizations=[MERGE, operation, TOLERATE])["workingDir"] == "/other"
    with pytest.raises(ValidationError, match=r"customizations\[0\].*'add' sets what is not there yet"):
        KubernetesJob(customizations=[operation, MERGE])


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (f"{CONTAINER}/resources/limits/cpu", "2"),
        (f"{CONTAINER}/envFrom/0/secretRef/name", "other"),
        (f"{CONTAINER}/env/0/valueFrom/secretKeyRef/key", "other"),
        ("/spec/podFailurePolicy/rules/0/action", "other"),
        ("/spec/template/spec/imagePullSecrets/0/name", "other"),
        ("/spec/template/spec/nodeSelector/disk", "other"),
        ("/metadata/annotations/a", "other"),
    ],
)
def test_what_the_fields_say_is_there_for_customizations(path: str, value: str) -> None:
    fields: dict[str, Any] = {
        "resources": {"limits": {"cpu": "1"}},
        "env_from_secrets": ["s"],
        "env_secret_keys": {"PW": "db/pw"},
        "image_pull_secrets": ["login"],
        "node_selector": {"disk": "fast"},
        "annotations": {"a": "b"},
    }
    patch = [{"op": "replace", "path": path, "value": value}]
    job = render(KubernetesJob(image="flows:1", customizations=patch, **fields), JOB)["job"]
    for part in path.split("/")[1:]:
        job = job[int(part)] if part.isdigit() else job[part]
    assert job == value


@pytest.mark.parametrize(
    ("customizations", "said"),
    [
        ([{"op": "add", "path": "/spec/templates/spec", "value": 1}], r"customizations\[0\].*no 'templates' in '/spec'. Did"),
        ([{"op": "add", "path": "/spec/template/spec/container/0/x", "value": 1}], "Did you mean 'containers'"),
        ([{"op": "add", "path": "spec/template", "value": 1}], "a path begins with '/'"),
        ([{"op": "add", "path": "spec.template", "value": 1}], "/spec/template"),
        ([{"op": "add", "path": f"{CONTAINER}/resources"}], "'add' needs 'value'"),
        ([{"op": "ad", "path": "/spec"}], "Did you mean 'add'"),
        ([{"op": "add", "pth": "/spec", "value": 1}], "no 'pth'"),
        ([{"path": "/spec", "value": 1}], "there is no operation None"),
        ([{"op": "remove", "path": f"{CONTAINER}/resources"}], "there is no 'resources'"),
        ([{"op": "replace", "path": f"{CONTAINER}/resources", "value": {}}], "'add' sets what is not there yet"),
        ([{"op": "add", "path": "/spec/template/spec/containers/3/env/-", "value": {}}], "a list of 1"),
        ([{"op": "add", "path": f"{CONTAINER}/env/x", "value": {}}], "no item 'x'"),
        ([{"op": "move", "path": "/spec/a"}], "'move' needs 'from'"),
        ([{"op": "copy", "from": "/spec/x", "path": "/spec/y"}], "there is no 'x'"),
        ([{"op": "add", "path": "/spec/template/spec/nodeSelectr", "value": {}}], "Did you mean 'nodeSelector'"),
        ([{"op": "add", "path": f"{CONTAINER}/resources", "value": {"limit": {}}}], "Did you mean 'limits'"),
        ([{"op": "add", "path": "/spec/template/spec/restartPolicy", "value": "Always"}], "has to be 'Never'"),
        ([{"op": "add", "path": "/spec/completions", "value": 2}], "completions is 2"),
        ([{"op": "replace", "path": "/kind", "value": "Pod"}], "kind is 'Pod'"),
        ([{"op": "remove", "path": CONTAINER}], "containers is a list whose first item"),
        ([{"op": "add", "path": f"{CONTAINER}/env", "value": {"A": "1"}}], "env is a list of"),
        ([{"op": "add", "path": "/metadata/labels", "value": "x"}], "metadata.labels is no mapping"),
        ([TOLERATE, {"op": "add", "path": "/sepc", "value": {}}], r"customizations\[1\].*Did you mean 'spec'"),
        ([{"op": "add", "path": "/spec/template/spec/containers/-", "value": {"name": "x"}}], "has no image"),
        ("[{", "neither JSON nor YAML"),
        ("7", "not int"),
        ({"op": "add", "path": "/spec/suspend", "value": True}, r"put this one into \[ \]"),
        ({"sepc": {}}, "Did you mean 'spec'"),
        ({"spec": {"template": {"spce": {}}}}, "Did you mean 'spec'"),
        ({"spec": {"template": {"spec": {"containers": [{"name": "penstock-jbo", "args": []}]}}}}, "Did you mean 'penstock-job'"),
        ({"spec": {"template": {"spec": {"containers": [{"image": "x"}]}}}}, r"item 0: spec.template.spec.containers\[0\]"),
        ({"spec": {"template": {"spec": {"containers": {"name": "x"}}}}}, "is a list, even of one item"),
        ({"spec": {"template": {"spec": {"initContainers": [{"name": "x"}]}}}}, r"initContainers\[0\] has no image"),
        ({"spec": {"template": {"spec": {"containers": [{"$patch": "replace"}]}}}}, "whose first item"),
        ({"spec": None}, "spec is missing"),
        ({"spec": {"$patch": "remove"}}, "it is one of delete, merge, replace"),
        ([{}], "there is no operation None"),
        (["add"], "operation 0 is none"),
    ],
)  # fmt: skip
def test_a_customization_that_cannot_be_is_refused_when_it_is_written(customizations: Any, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        KubernetesJob(image="flows:1", customizations=customizations)
