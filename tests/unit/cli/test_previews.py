"""What a block previews in Python is what the command line renders of it, and neither shows a secret."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from cli_said import Said
from kubernetes_objects import KUBECONFIG

from penstock.errors import ConfigurationError
from penstock.infrastructure import (
    AzureContainerInstanceJob,
    CloudRunJob,
    DockerContainer,
    ECSTask,
    Infrastructure,
    KubernetesClusterConfig,
    KubernetesJob,
    Process,
)
from penstock.infrastructure.effective import Layer, effective

GUID = "00000000-0000-0000-0000-000000000000"
SECRETS = {"DB_PASSWORD": "hunter2", "WAREHOUSE": "https://me:hunter2@db.example.com"}
#: type -> what such a block cannot be without
NEEDED: dict[type[Infrastructure], dict[str, Any]] = {
    KubernetesJob: {},
    ECSTask: {},
    CloudRunJob: {"image": "gcr.io/p/flows:1", "region": "europe-west1"},
    AzureContainerInstanceJob: {"resource_group_name": "g", "subscription_id": GUID},
}


@pytest.mark.parametrize("kind", NEEDED)
def test_a_preview_is_the_request_that_render_prints(kind: type[Infrastructure], penstock: Callable[..., Said]) -> None:
    block = kind(**NEEDED[kind], env={"LEVEL": "debug"})
    overrides = [f"{name}={value}" for name, value in (NEEDED[kind] | {"env.LEVEL": "debug"}).items()]
    slug = kind.get_block_type_slug()
    said = penstock("infrastructure", "render", slug, *(word for text in overrides for word in ("--override", text)))
    if kind is KubernetesJob:  # of it the Job is what people want to see; its Secret and its place are printed as well
        assert yaml.safe_load(block.preview()) == yaml.safe_load(said.out)["job"]
        assert said.out.endswith(_indented(block.preview()))
    else:
        assert block.preview() == said.out


def _indented(text: str) -> str:
    return "job:\n" + "".join(f"  {line}\n" for line in text.splitlines())


@pytest.mark.parametrize("kind", [*NEEDED, DockerContainer, Process])
def test_a_preview_shows_no_secret(kind: type[Infrastructure]) -> None:
    block = kind(**NEEDED.get(kind, {}), env=SECRETS, command=["ask", SECRETS["WAREHOUSE"]])
    for text in (block.preview(), json.dumps(block.snapshot())):
        assert "DB_PASSWORD" in text
        assert "me:" in text
        assert "hunter2" not in text


def test_no_secret_of_the_manifest_its_patches_or_its_cluster_is_in_the_preview_of_a_kubernetes_job() -> None:
    job = KubernetesJob.base_job_manifest()
    variable = {"name": "API_TOKEN", "value": "hunter2"}
    job["spec"]["template"]["spec"]["containers"][0]["env"] = [variable]
    other = {"name": "proxy", "image": "proxy:1", "env": [{"name": "PROXY_PASSWORD", "value": "hunter2"}]}
    block = KubernetesJob(
        job=job,
        customizations=[{"op": "add", "path": "/spec/template/spec/containers/-", "value": other}],
        cluster_config=KubernetesClusterConfig(context_name="c", config=KUBECONFIG),
    )
    text = block.preview()
    assert "hunter2" not in text
    assert {"API_TOKEN", "PROXY_PASSWORD"} <= {word.strip(": -") for word in text.split()}


def test_a_preview_has_the_overrides_and_the_settings_that_are_in_force(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_API_URL", "https://penstock.example.com/api")
    overrides = {
        "env.LEVEL": "debug",
        "resources.limits.memory": "2Gi",
        "customizations": json.dumps([{"op": "add", "path": "/spec/template/spec/hostNetwork", "value": True}]),
    }
    text = effective("kubernetes-job", None, [Layer("here", overrides)]).infrastructure.preview()
    pod = yaml.safe_load(text)["spec"]["template"]["spec"]
    env = {item["name"]: item.get("value") for item in pod["containers"][0]["env"]}
    assert (env["LEVEL"], env["PENSTOCK_API_URL"]) == ("debug", "https://penstock.example.com/api")
    assert (pod["hostNetwork"], pod["containers"][0]["resources"]["limits"]) == (True, {"memory": "2Gi"})


def test_a_type_that_nobody_renders_has_no_preview_and_says_which_do() -> None:
    class SubmarineTask(Infrastructure):
        _block_type_slug = "submarine-task"
        type: str = "submarine-task"

    with pytest.raises(ConfigurationError, match="no infrastructure type 'submarine-task'"):
        SubmarineTask().preview()
