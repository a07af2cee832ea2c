"""KubernetesJob: what it takes and what it refuses, its manifest and its customizations."""

import copy
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes_objects import KUBECONFIG
from pydantic import ValidationError

from penstock.errors import ConfigurationError
from penstock.infrastructure import KubernetesImagePullPolicy, KubernetesJob
from penstock.infrastructure.effective import effective
from penstock.infrastructure.images import default_image
from penstock.infrastructure.registry import render
from penstock.infrastructure.sample import sample_job
from penstock.model.attempts import InfrastructureDocument

#: A manifest as Prefect 2 has it: the counts stand in the spec of the pod.
OLD: dict[str, Any] = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"labels": {}},
    "spec": {
        "template": {
            "spec": {
                "parallelism": 1,
                "completions": 1,
                "restartPolicy": "Never",
                "containers": [{"name": "prefect-job", "env": []}],
            }
        }
    },
}
CONTAINER = "/spec/template/spec/containers/0"


def changed(path: str, value: Any) -> dict[str, Any]:
    """The old manifest with one thing changed; None takes it away."""
    job = copy.deepcopy(OLD)
    *above, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    target: Any = job
    for part in above:
        target = target[part]
    if value is None:
        del target[last]
    else:
        target[last] = value
    return job


def test_nothing_has_to_be_said():
    block = KubernetesJob()
    assert (block.image, block.namespace) == (default_image(), "default")
    assert block.job == KubernetesJob.base_job_manifest()
    assert (block.customizations, block.pod_watch_timeout_seconds, block.job_watch_timeout_seconds) == ([], 60, None)


def test_the_fields_users_of_prefect_2_know_have_their_order_and_come_before_others():
    own = ("start_timeout", "run_timeout", "cancel_timeout", "grace_seconds")
    assert [name for name in KubernetesJob.model_fields if name not in own] == [
        "type", "env", "labels", "name", "command", "image", "namespace", "service_account_name", "image_pull_policy",
        "cluster_config", "job", "customizations", "job_watch_timeout_seconds", "pod_watch_timeout_seconds",
        "stream_output", "finished_job_ttl",
        "resources", "image_pull_secrets", "node_selector", "tolerations", "affinity", "volumes", "volume_mounts",
        "env_from_secrets", "env_from_config_maps", "env_secret_keys", "env_config_map_keys", "annotations",
        "priority_class_name", "security_context", "pod_security_context",
    ]  # fmt: skip


def test_what_the_manifest_says_is_not_overruled_by_defaults():
    job = changed("metadata", {"labels": {}, "namespace": "flows"})
    job["spec"]["template"]["spec"]["containers"][0]["image"] = "flows:1"
    block = KubernetesJob(job=job)
    assert (block.image, block.namespace) == (None, None)
    assert KubernetesJob(job=job, image="other:2").image == "other:2"


def test_a_manifest_of_prefect_2_is_taken_and_its_counts_put_where_kubernetes_reads_them():
    job = KubernetesJob(job=OLD).job
    assert job["spec"] == {
        "parallelism": 1,
        "completions": 1,
        "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "prefect-job", "env": []}]}},
    }
    assert "parallelism" in OLD["spec"]["template"]["spec"]


@pytest.mark.parametrize("text", [json.dumps(OLD), yaml.safe_dump(OLD)])
def test_a_manifest_may_be_text(text: str):
    assert KubernetesJob(job=text).job == KubernetesJob(job=OLD).job  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("job", "said"),
    [
        (changed("apiVersion", "v1"), "apiVersion is 'v1'; it has to be 'batch/v1'"),
        (changed("kind", "Pod"), "kind is 'Pod'"),
        (changed("kind", None), "kind is missing"),
        (changed("metadata", "x"), "metadata is no mapping"),
        (changed("spec", {"tempalte": {}}), "spec.template is missing. It has 'tempalte' instead"),
        (changed("spec.template.spec", None), "spec.template.spec is missing"),
        (changed("spec.template.spec.containers", []), "containers is a list whose first item"),
        (changed("spec.template.spec.containers", ["x"]), r"containers\[0\] is no mapping"),
        (changed("spec.template.spec.containers.0.env", {"A": "1"}), r"containers\[0\].env is a list"),
        (changed("spec.template.spec.restartPolicy", "OnFailure"), "restartPolicy is 'OnFailure'"),
        (changed("spec.template.spec.completions", 2), "completions is 2"),
        (changed("spec.parallelism", 3), "parallelism is 3"),
        ("a: [", "neither YAML nor JSON"),
        (7, "YAML or JSON text, not 7"),
    ],
)
def test_a_manifest_that_runs_no_flow_is_refused_with_the_place(job: Any, said: str):
    with pytest.raises(ValidationError, match=said):
        KubernetesJob(job=job)


def _places(value: Any, above: str = "") -> Iterator[str]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        yield f"{above}{name}"
        yield from _places(item, f"{above}{name}.")


@pytest.mark.parametrize("place", list(_places(OLD)))
def test_whatever_stands_in_a_place_of_the_manifest_it_is_taken_or_refused(place: str):
    patch = [{"op": "add", "path": f"{path}/x", "value": 1} for path in ("/metadata/labels", CONTAINER)]
    for value in (1, "x", [], {}, [1], [{}], {"a": 1}, True, False):
        with suppress(ValidationError):
            block = KubernetesJob(job=changed(place, value), customizations=patch)
            assert KubernetesJob.model_validate(block.to_document_data()) == block


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"namespace": "Dev"}, "lower-case"),
        ({"namespace": "a" * 64}, "up to 63"),
        ({"service_account_name": "a_b"}, "no service account"),
        ({"image_pull_policy": "IfNotPresnt"}, "Did you mean 'IfNotPresent'"),
        ({"image": "x y"}, "names no image"),
        ({"finished_job_ttl": -1}, "greater than or equal to 0"),
        ({"pod_watch_timeout_seconds": 0}, "greater than 0"),
        ({"job_watch_timeout_seconds": 0}, "greater than 0"),
        ({"pod_watch_timeout": 1}, "Did you mean 'pod_watch_timeout_seconds'"),
        ({"cluster_config": {"config": {}, "context_name": "x"}}, "no context 'x'"),
        ({"customizations": [{"op": "add", "path": "/spec/templates/spec", "value": 1}]}, "Did you mean 'template'"),
        ({"customizations": '[{"op": "del", "path": "/spec"}]'}, "no operation 'del'"),
    ],
)
def test_what_cannot_be_is_refused_where_it_is_written(fields: dict[str, Any], said: str):
    with pytest.raises(ValidationError, match=said):
        KubernetesJob(**fields)


@pytest.mark.parametrize("policy", ["IF_NOT_PRESENT", "IfNotPresent", KubernetesImagePullPolicy.IF_NOT_PRESENT])
def test_the_pull_policy_is_written_as_kubernetes_has_it(policy: Any):
    assert KubernetesJob(image_pull_policy=policy).model_dump(mode="json")["image_pull_policy"] == "IfNotPresent"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/metadata/annotations/a", "x"),
        ("/metadata/labels/team", "x"),
        ("/spec/template/metadata/labels/team", "x"),
        ("/spec/ttlSecondsAfterFinished", 60),
        ("/spec/template/spec/nodeSelector", {"disk": "fast"}),
        ("/spec/template/spec/serviceAccountName", "x"),
        ("/spec/template/spec/containers/0/resources", {}),
        ("/spec/template/spec/containers/0/env/-", {"name": "A", "value": "1"}),
        ("/spec/template/spec/containers/0/volumeMounts/-", {"name": "data", "mountPath": "/data"}),
        ("/spec/template/spec/volumes/-", {"name": "other", "emptyDir": {}}),
        ("/spec/template/spec/containers/-", {"name": "other", "image": "other:1"}),
    ],
)
def test_customizations_reach_what_is_there_when_a_run_is_started(path: str, value: Any):
    patch = [{"op": "add", "path": path, "value": value}]
    block = KubernetesJob(customizations=patch, job=OLD, volumes=[{"name": "data", "emptyDir": {}}])
    assert block.customizations == patch


def test_what_the_fields_set_can_be_replaced():
    values = {"image": "other:1", "name": "x", "args": ["x"]}
    patch = [{"op": "replace", "path": f"{CONTAINER}/{name}", "value": value} for name, value in values.items()]
    assert KubernetesJob(customizations=patch).customizations == patch
    with pytest.raises(ValidationError, match="'add' sets what is not there yet"):
        KubernetesJob(customizations=[{"op": "replace", "path": f"{CONTAINER}/resources", "value": {}}])


@pytest.mark.parametrize("suffix", [".json", ".yaml"])
def test_manifest_and_customizations_are_read_from_files(tmp_path: Path, suffix: str):
    write = json.dumps if suffix == ".json" else yaml.safe_dump
    patch = [{"op": "add", "path": "/spec/template/spec/nodeSelector", "value": {"disk": "fast"}}]
    (tmp_path / f"job{suffix}").write_text(write(OLD))
    (tmp_path / f"patch{suffix}").write_text(write(patch))
    block = KubernetesJob(
        job=KubernetesJob.job_from_file(tmp_path / f"job{suffix}"),
        customizations=KubernetesJob.customize_from_file(str(tmp_path / f"patch{suffix}")),
    )
    assert block == KubernetesJob(job=OLD, customizations=patch)


def test_a_file_that_is_missing_or_wrong_is_named(tmp_path: Path):
    with pytest.raises(ConfigurationError, match=r"none\.yaml cannot be read: No such file"):
        KubernetesJob.job_from_file(tmp_path / "none.yaml")
    (tmp_path / "wrong.yaml").write_text("kind: Job\n")
    with pytest.raises(ConfigurationError, match=r"wrong\.yaml: apiVersion is missing"):
        KubernetesJob.job_from_file(tmp_path / "wrong.yaml")
    (tmp_path / "wrong.yaml").write_text("op: add\npath: /spec/suspend\n")
    with pytest.raises(ConfigurationError, match=r"wrong\.yaml: operations are given as a list"):
        KubernetesJob.customize_from_file(tmp_path / "wrong.yaml")


def test_the_base_manifest_is_nobodys_but_the_callers():
    KubernetesJob.base_job_manifest()["spec"]["backoffLimit"] = 7
    assert KubernetesJob.base_job_manifest()["spec"]["backoffLimit"] == 0
    assert KubernetesJob(job=KubernetesJob.base_job_manifest()).job == KubernetesJob().job


def test_variables_in_the_manifest_that_are_named_like_secrets_are_masked_where_it_is_shown():
    variables = [{"name": "DB_PASSWORD", "value": "hunter2"}, {"name": "LEVEL", "value": "debug"}]
    other = {"name": "API_TOKEN", "value": "hunter2"}
    patch = [{"op": "add", "path": "/spec/template/spec/containers/0/env/-", "value": other}]
    block = KubernetesJob(job=changed("spec.template.spec.containers.0.env", variables), customizations=patch)
    assert "hunter2" not in json.dumps(block.snapshot())
    assert "debug" in json.dumps(block.snapshot())
    assert KubernetesJob.model_validate(block.to_document_data()) == block


@pytest.mark.parametrize(
    ("fields", "start", "run"),
    [
        ({}, 600, None),
        ({"pod_watch_timeout_seconds": 90}, 90, None),
        ({"pod_watch_timeout_seconds": 90, "start_timeout": 30}, 30, None),
        ({"job_watch_timeout_seconds": 5}, 600, 5),
        ({"job_watch_timeout_seconds": 5, "run_timeout": 7}, 600, 7),
    ],
)
def test_the_timeouts_of_prefect_2_are_limits_where_ours_are_not_set(fields: dict[str, Any], start: int, run: int):
    block = KubernetesJob(**fields)
    loaded = KubernetesJob.model_validate(block.to_document_data())
    for one in (block, loaded):
        assert (one.limits().start, one.limits().run) == (start, run)


def test_documents_that_prefect_2_has_saved_are_taken_as_they_are():
    patch = [{"op": "add", "path": f"{CONTAINER}/resources", "value": {"requests": {"memory": "4gi"}}}]
    data = {
        "type": "kubernetes-job", "env": {"A": "1", "DROP": None}, "labels": {"Team Name": "x y"}, "name": "my name!",
        "command": ["python", "-m", "prefect.engine"], "image": "prefecthq/prefect:2.20.25-python3.11",
        "namespace": "dev", "service_account_name": "sa", "image_pull_policy": "Always", "job": OLD,
        "cluster_config": {"block_type_slug": "kubernetes-cluster-config", "config": KUBECONFIG, "context_name": "c"},
        "customizations": patch, "job_watch_timeout_seconds": 600, "pod_watch_timeout_seconds": 600,
        "stream_output": True, "finished_job_ttl": 60, "block_type_slug": "kubernetes-job",
    }  # fmt: skip
    document = InfrastructureDocument(slug="kubernetes-job", data=data)
    block = effective("kubernetes-job", document, []).infrastructure
    assert isinstance(block, KubernetesJob)
    assert block.cluster_config is not None
    assert (block.namespace, block.customizations, block.cluster_config.context_name) == ("dev", patch, "c")
    pod = render(block, sample_job("http://api.example.org/api", {}))["job"]["spec"]["template"]["spec"]
    assert pod["containers"][0]["resources"] == {"requests": {"memory": "4Gi"}}
    assert pod["serviceAccountName"] == "sa"
