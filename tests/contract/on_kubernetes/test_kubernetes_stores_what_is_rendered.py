"""A real API server takes every object that is rendered and keeps all of it; and patches are merged as kubectl does it."""

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from kubernetes_blocks import blocks
from kubernetes_cluster import BUSYBOX, Cluster

from penstock.infrastructure import KubernetesJob
from penstock.infrastructure.base import Job
from penstock.infrastructure.kubernetes.merge import merged
from penstock.infrastructure.kubernetes.quantities import quantity
from penstock.infrastructure.names import job_name
from penstock.infrastructure.registry import render
from penstock.infrastructure.sample import sample_job
from penstock.testing import wait_until

#: What a Kubernetes of before 1.26 drops without a word.
NEWER = {"podFailurePolicy"}
#: Members of what is stored that were not sent: the API server's defaults and its own records.
ITS_OWN = {
    "apiVersion", "completionMode", "controller-uid", "creationTimestamp", "defaultMode", "divisor", "dnsPolicy",
    "fieldPath", "generation", "imagePullPolicy", "job-name", "managedFields", "protocol", "resources", "schedulerName",
    "securityContext", "selector", "serviceAccount", "status", "suspend", "terminationMessagePath",
    "terminationMessagePolicy", "type", "uid", "resourceVersion", "selfLink", "manualSelector", "requests",
    "podReplacementPolicy", "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name",
}  # fmt: skip
VOLUME: dict[str, Any] = {"name": "data", "emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}}
AFFINITY = {
    "nodeAffinity": {
        "preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 1, "preference": {"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}}
        ]
    }
}


def _manifest() -> dict[str, Any]:
    job = KubernetesJob.base_job_manifest()
    job["metadata"]["annotations"] = {"example.org/of": "the manifest"}
    job["spec"]["template"]["spec"]["hostname"] = "flows"
    return job


#: Every field of the block, with what it is set to.
FIELDS: dict[str, dict[str, Any]] = {
    "env": {"env": {"LEVEL": "7", "DOLLARS": "$(LEVEL) $$", "EMPTY": "", "DB_PASSWORD": "hunter2"}},
    "labels": {"labels": {"Team Name": "äöü x", "example.org/a": "b"}},
    "name": {"name": "Übung 1"},
    "command": {"command": ["sh", "-c", "echo $(hostname) $$"]},
    "start_timeout": {"start_timeout": None, "run_timeout": 60},
    "run_timeout": {"run_timeout": 60.5},
    "grace_seconds": {"grace_seconds": 7.5},
    "image": {"image": f"{BUSYBOX}"},
    "service_account_name": {"service_account_name": "runner"},
    "image_pull_policy": {"image_pull_policy": "Never"},
    "job": {"job": _manifest()},
    "customizations": {"customizations": [{"op": "add", "path": "/spec/template/spec/hostNetwork", "value": True}]},
    "job_watch_timeout_seconds": {"job_watch_timeout_seconds": 60},
    "finished_job_ttl": {"finished_job_ttl": 0},
    "resources": {"resources": {"requests": {"cpu": "50m"}, "limits": {"cpu": "1.5", "memory": 2**26}}},
    "image_pull_secrets": {"image_pull_secrets": ["login"]},
    "node_selector": {"node_selector": {"example.org/disk": "fast"}},
    "tolerations": {"tolerations": [{"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60}]},
    "affinity": {"affinity": AFFINITY},
    "volumes": {"volumes": [VOLUME]},
    "volume_mounts": {"volumes": [VOLUME], "volume_mounts": [{"name": "data", "mountPath": "/data", "readOnly": True}]},
    "env_from_secrets": {"env_from_secrets": ["warehouse"]},
    "env_from_config_maps": {"env_from_config_maps": ["levels"]},
    "env_secret_keys": {"env_secret_keys": {"PASSWORD": "warehouse/password"}},
    "env_config_map_keys": {"env_config_map_keys": {"LEVEL": "levels/level"}},
    "annotations": {"annotations": {"example.org/team": "Data & Söhne"}},
    "priority_class_name": {"priority_class_name": "system-node-critical"},
    "security_context": {"security_context": {"runAsUser": 1000, "capabilities": {"drop": ["ALL"]}}},
    "pod_security_context": {"pod_security_context": {"fsGroup": 1000, "runAsNonRoot": True}},
}
#: Those that the cluster is told nothing of, or that say which cluster it is.
OTHERS = {
    "type", "namespace", "cluster_config", "cancel_timeout", "pod_watch_timeout_seconds", "stream_output",
}  # fmt: skip


@pytest.fixture(scope="module")
def namespace(cluster: Cluster) -> Iterator[str]:
    with cluster.namespace() as name:
        yield name


def _job() -> Job:
    attempt = uuid4()
    return replace(
        sample_job("http://penstock.example.org/api", {}),
        name=job_name("stored", attempt),
        attempt_id=attempt,
        secret_env={"PENSTOCK__ATTEMPT_TOKEN": "a token"},
    )


def _stored(cluster: Cluster, path: str, manifest: dict[str, Any]) -> Any:
    return json.loads(cluster.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(manifest)))


def _differences(sent: Any, stored: Any, where: str = "") -> Iterator[str]:
    """What was sent and is not stored, and what is stored, was not sent, and is nothing of the API server's own."""
    if isinstance(sent, dict) and isinstance(stored, dict):
        for name, value in sent.items():
            if name in NEWER and name not in stored:
                continue
            if name not in stored and value not in ("", False, [], {}, None):
                yield f"{where}.{name} is gone"
            elif name in stored:
                yield from _differences(value, stored[name], f"{where}.{name}")
        yield from (f"{where}.{name} was added" for name in stored.keys() - sent.keys() - ITS_OWN)
    elif isinstance(sent, list) and isinstance(stored, list):
        if len(sent) != len(stored):
            yield f"{where} has {len(stored)} items"
        for index, (one, other) in enumerate(zip(sent, stored, strict=False)):
            yield from _differences(one, other, f"{where}[{index}]")
    elif ".resources." in where or where.endswith("sizeLimit"):
        if quantity(str(sent)) != quantity(str(stored)):
            yield f"{where} is {stored!r}, not {sent!r}"
    elif sent != stored:
        yield f"{where} is {stored!r}, not {sent!r}"


def test_every_field_is_in_the_table() -> None:
    assert {*FIELDS} | OTHERS == {*KubernetesJob.model_fields}


@pytest.mark.parametrize("field", [*FIELDS])
def test_what_is_rendered_is_what_the_api_server_keeps(cluster: Cluster, namespace: str, field: str) -> None:
    block = KubernetesJob(**{"image": BUSYBOX, "command": ["true"], "namespace": namespace, **FIELDS[field]})
    found = render(block, _job())
    stored = _stored(cluster, f"/apis/batch/v1/namespaces/{namespace}/jobs", found["job"])
    try:
        assert [*_differences(found["job"], stored)] == []
    finally:
        cluster.kubectl("delete", "job", found["job"]["metadata"]["name"], "-n", namespace, "--wait=false")


def test_a_copy_of_a_stored_job_can_be_the_manifest_of_others(cluster: Cluster, namespace: str) -> None:
    path = f"/apis/batch/v1/namespaces/{namespace}/jobs"
    block = KubernetesJob(image=BUSYBOX, command=["true"], namespace=namespace)
    stored = _stored(cluster, path, render(block, _job())["job"])
    found = render(KubernetesJob(job=stored, command=["true"]), _job())
    assert found["job"]["metadata"]["name"] != stored["metadata"]["name"]
    again = _stored(cluster, path, found["job"])
    assert again["metadata"]["uid"] != stored["metadata"]["uid"]
    assert [*_differences(found["job"], again)] == []


def test_the_secret_holds_what_was_concealed_and_belongs_to_the_job_afterwards(
    cluster: Cluster, namespace: str
) -> None:
    block = KubernetesJob(
        image=BUSYBOX,
        command=["sh", "-c", "cat $PENSTOCK__ATTEMPT_TOKEN_FILE"],
        namespace=namespace,
        env={"API_KEY": "a"},
    )
    found = render(block, _job())
    secret = {
        **found["secret"],
        "stringData": {k: v.get_secret_value() for k, v in found["secret"]["stringData"].items()},
    }
    name = secret["metadata"]["name"]
    stored = _stored(cluster, f"/api/v1/namespaces/{namespace}/secrets", secret)
    assert {key: base64.b64decode(value).decode() for key, value in stored["data"].items()} == {
        "token": "a token",
        "API_KEY": "a",
    }
    job = _stored(cluster, f"/apis/batch/v1/namespaces/{namespace}/jobs", found["job"])
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": job["metadata"]["uid"]}
    patch = json.dumps({"metadata": {"ownerReferences": [owner]}})
    cluster.kubectl("patch", "secret", name, "-n", namespace, "--type", "merge", "-p", patch)
    cluster.kubectl("wait", "job", name, "-n", namespace, "--for=condition=complete", "--timeout=600s")
    assert cluster.kubectl("logs", f"job/{name}", "-n", namespace) == "a token"
    cluster.kubectl("delete", "job", name, "-n", namespace, "--wait=true", "--timeout=600s")
    left = ("get", "secret", name, "-n", namespace, "--ignore-not-found")
    wait_until(lambda: cluster.kubectl(*left) == "", timeout=240, message="the Secret is still there")


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    derandomize=True,
)  # fmt: skip
@given(block=blocks())
def test_whatever_a_block_says_the_api_server_takes_it_whole(
    cluster: Cluster, namespace: str, block: KubernetesJob
) -> None:
    found = render(block.model_copy(update={"namespace": namespace}), _job())
    stored = _stored(cluster, f"/apis/batch/v1/namespaces/{namespace}/jobs?dryRun=All", found["job"])
    assert [*_differences(found["job"], stored)] == []


# --- merging

WHOLE: dict[str, Any] = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"name": "whole", "labels": {"a": "b", "c": "d"}, "finalizers": ["example.org/a"]},
    "spec": {
        "backoffLimit": 0,
        "template": {
            "spec": {
                "restartPolicy": "Never",
                "containers": [
                    {
                        "name": "main",
                        "image": "x:1",
                        "args": ["a"],
                        "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                        "ports": [{"containerPort": 80, "name": "web"}],
                        "volumeMounts": [{"mountPath": "/v", "name": "v"}],
                        "envFrom": [{"secretRef": {"name": "s"}}],
                    }
                ],
                "volumes": [{"name": "v", "emptyDir": {}}, {"name": "w", "hostPath": {"path": "/srv"}}],
                "tolerations": [{"key": "a", "operator": "Exists"}],
                "imagePullSecrets": [{"name": "login"}],
                "nodeSelector": {"disk": "slow", "zone": "a"},
                "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a"]}],
            }
        },
    },
}
POD_PATCHES: list[dict[str, Any]] = [
    {"containers": [{"name": "main", "env": [{"name": "B", "value": "9"}, {"name": "C", "value": "3"}]}]},
    {"containers": [{"name": "main", "env": [{"name": "A", "$patch": "delete"}]}, {"name": "new", "image": "y:1"}]},
    {"containers": [{"name": "main", "args": ["b", "c"], "envFrom": [{"configMapRef": {"name": "c"}}]}]},
    {"containers": [{"name": "main", "ports": [{"containerPort": 80, "protocol": "UDP"}, {"containerPort": 81}]}]},
    {"containers": [{"name": "main", "volumeMounts": [{"mountPath": "/v", "readOnly": True}], "image": None}]},
    {"volumes": [{"name": "v", "$patch": "delete"}, {"name": "x", "emptyDir": {}}]},
    {"volumes": [{"name": "w", "emptyDir": {}, "$retainKeys": ["name", "emptyDir"]}]},
    {"volumes": [{"$patch": "replace"}, {"name": "only", "emptyDir": {}}]},
    {"nodeSelector": {"disk": None, "arch": "arm64"}, "tolerations": [{"operator": "Exists"}]},
    {"nodeSelector": {"$patch": "replace", "zone": "b"}, "imagePullSecrets": [{"name": "other"}]},
    {"hostAliases": [{"ip": "10.0.0.1", "hostnames": ["b"]}, {"ip": "10.0.0.2", "hostnames": ["c"]}]},
    {"tolerations": None, "securityContext": {"fsGroup": 7}},
]


def _sorted(value: Any) -> Any:
    """Lists without their order: kubectl puts new items before the others."""
    if isinstance(value, dict):
        return {name: _sorted(item) for name, item in value.items() if item not in ([], {})}
    if isinstance(value, list):
        return sorted((_sorted(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True))
    return value


@pytest.mark.parametrize("patch", POD_PATCHES, ids=json.dumps)
def test_a_patch_is_merged_as_kubectl_merges_it(cluster: Cluster, tmp_path: Path, patch: dict[str, Any]) -> None:
    whole = {"metadata": {"labels": {"a": None, "e": "f"}}, "spec": {"template": {"spec": patch}}}
    (tmp_path / "job.json").write_text(json.dumps(WHOLE))
    said = ("--local", "-f", str(tmp_path / "job.json"), "--type", "strategic", "-p", json.dumps(whole), "-o", "json")
    assert _sorted(merged(WHOLE, whole)) == _sorted(json.loads(cluster.kubectl("patch", *said)))
