"""What users of Prefect 2 write about infrastructure blocks works with the package's name changed.

The bucket is one that moto serves over HTTP. Nothing here starts a job on Docker, Kubernetes or in a cloud: what is seen is that
blocks are made, saved, loaded, and become part of deployments on a real server.
"""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from penstock import flow
from penstock.deployments import Deployment
from penstock.filesystems import S3
from penstock.testing import TestServer, penstock_test_harness

FLOW = """
from penstock import flow


@flow
def my_flow(name: str = "world"):
    print(f"hello {name}")
"""

SECRET = "wJalrXUtnFEMI/K7MDENG"

#: Container resources, as a patch of the manifest.
CUSTOMIZATIONS = [
    {
        "op": "add",
        "path": "/spec/template/spec/containers/0/resources",
        "value": {
            "requests": {"cpu": "2000m", "memory": "4gi"},
            "limits": {"cpu": "4000m", "memory": "8Gi", "nvidia.com/gpu": "1"},
        },
    }
]

Command = Callable[..., str]


@pytest.fixture(scope="module")
def running() -> Iterator[TestServer]:
    with penstock_test_harness() as found:
        yield found


@pytest.fixture(scope="module")
def bucket() -> Iterator[Any]:
    """A bucket, as boto3 knows it."""
    for package in ("s3fs", "moto", "boto3"):
        if importlib.util.find_spec(package) is None:
            if os.environ.get("CI", "").lower() in ("1", "true"):
                pytest.fail(f"{package} is not installed, and CI tests buckets")
            pytest.skip(f"{package} is not installed")
    import boto3
    from moto.server import ThreadedMotoServer

    service = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    service.start()
    host, port = service.get_host_and_port()
    key = {"aws_access_key_id": "AKIAIOSFODNN7EXAMPLE", "aws_secret_access_key": SECRET, "region_name": "us-east-1"}
    found = boto3.resource("s3", endpoint_url=f"http://{host}:{port}", **key).Bucket("bucket-full-of-sunshine")
    found.create()
    yield found
    service.stop()


def _bucket_block(bucket: Any) -> S3:
    return S3(
        bucket_path=bucket.name,
        aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
        aws_secret_access_key=SECRET,
        endpoint_url=bucket.meta.client.meta.endpoint_url,
    )


@pytest.fixture
def penstock(running: TestServer, tmp_path: Path) -> Command:
    """Runs `penstock ARGUMENTS` in a folder with the file my_flow.py, and gives what it wrote."""
    (tmp_path / "my_flow.py").write_text(FLOW)

    def run(*arguments: str, code: int = 0) -> str:
        command = [sys.executable, "-m", "penstock.cli", *arguments]
        done = subprocess.run(command, env=running.env, cwd=tmp_path, capture_output=True, text=True, timeout=280)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


def _deployed(running: TestServer, name: str) -> tuple[Any, dict[str, Any], str]:
    """A deployment, the data of its infrastructure document, and the slug of that one's type."""
    with running.client() as client:
        found = client.read_deployment_by_name(name)
        document = client.read_block_document(found.infrastructure_document_id)
        assert document.block_type is not None
        return found, document.data, document.block_type.slug


def test_a_deployment_is_built_with_an_infrastructure_type_a_storage_block_and_an_override(
    running: TestServer, penstock: Command, tmp_path: Path, bucket: Any
):
    _bucket_block(bucket).save("my-bucket")
    said = penstock(
        *("deployment", "build", "./my_flow.py:my_flow", "-n", "my-flow-deployment", "-t", "test"),
        *("-i", "docker-container", "-sb", "s3/my-bucket"),
        *("--override", "env.EXTRA_PIP_PACKAGES=s3fs"),
    )
    assert "my-flow" in said
    assert any(found.key.endswith("my_flow.py") for found in bucket.objects.all())

    file = tmp_path / "my_flow-deployment.yaml"
    written = yaml.safe_load(file.read_text())
    assert (written["name"], written["tags"]) == ("my-flow-deployment", ["test"])
    assert written["infra_overrides"] == {"env.EXTRA_PIP_PACKAGES": "s3fs"}
    assert written["infrastructure"]["type"] == "docker-container"
    assert written["storage"]["_block_document_name"] == "my-bucket"
    assert set(written["storage"]["aws_secret_access_key"]) == {"*"}
    assert SECRET not in file.read_text()
    fields = {"env", "labels", "name", "command", "image", "image_pull_policy", "networks", "network_mode"}
    fields |= {"auto_remove", "volumes", "stream_output", "memswap_limit", "mem_limit", "privileged"}
    assert fields <= set(written["infrastructure"])
    assert "DO NOT EDIT" in file.read_text().upper()

    written["infrastructure"] |= {"mem_limit": "512m", "image": "registry.example.com/flows:1"}
    file.write_text(yaml.safe_dump(written))
    penstock("deployment", "apply", "my_flow-deployment.yaml")
    deployment, data, slug = _deployed(running, "my-flow/my-flow-deployment")
    assert (slug, data["mem_limit"], data["image"]) == ("docker-container", "512m", "registry.example.com/flows:1")
    assert deployment.infra_overrides == {"env.EXTRA_PIP_PACKAGES": "s3fs"}


def test_settings_of_kubernetes_are_saved_and_deployments_based_on_them(
    running: TestServer, penstock: Command, bucket: Any
):
    from penstock.infrastructure import KubernetesImagePullPolicy, KubernetesJob

    k8s_job = KubernetesJob(
        namespace="dev",
        image="registry.example.com/penstock:2.0.0-python3.9",
        image_pull_policy=KubernetesImagePullPolicy.IF_NOT_PRESENT,
    )
    k8s_job.save("k8sdev")
    _bucket_block(bucket).save("dev")
    penstock(
        *("deployment", "build", "my_flow.py:my_flow", "--name", "k8sdev", "--tag", "k8s"),
        *("-sb", "s3/dev", "-ib", "kubernetes-job/k8sdev", "-a"),
    )
    deployment, data, slug = _deployed(running, "my-flow/k8sdev")
    assert (slug, data["namespace"], data["image_pull_policy"]) == ("kubernetes-job", "dev", "IfNotPresent")
    assert deployment.tags == ["k8s"]
    said = penstock("block", "inspect", "kubernetes-job/k8sdev")
    assert "deployment my-flow/k8sdev" in said


def test_a_kubernetes_job_with_customizations_is_loaded_and_overridden_in_a_deployment(
    running: TestServer, bucket: Any
):
    from penstock.infrastructure import KubernetesImagePullPolicy, KubernetesJob

    k8s_job = KubernetesJob(
        namespace="dev",
        image="registry.example.com/team/flows:1",
        image_pull_policy=KubernetesImagePullPolicy.ALWAYS,
        finished_job_ttl=300,
        job_watch_timeout_seconds=600,
        pod_watch_timeout_seconds=600,
        service_account_name="prefect-server",
        customizations=CUSTOMIZATIONS,
    )
    k8s_job.save("devk8s")
    storage = _bucket_block(bucket)
    storage.save("example")

    @flow
    def snippet_flow():
        pass

    k8sjob = k8s_job.load("devk8s")
    assert k8sjob == k8s_job
    deployment = Deployment.build_from_flow(
        flow=snippet_flow,
        name="s3-example",
        version=2,
        work_queue_name="aws",
        infrastructure=k8sjob,
        storage=storage,
        infra_overrides={"customizations": CUSTOMIZATIONS},
        skip_upload=True,
    )
    deployment.apply()
    found, data, _ = _deployed(running, "snippet-flow/s3-example")
    assert (found.version, found.work_queue_name) == ("2", "aws")
    assert found.infra_overrides == {"customizations": CUSTOMIZATIONS}
    assert (data["finished_job_ttl"], data["pod_watch_timeout_seconds"]) == (300, 600)
    assert data["customizations"] == CUSTOMIZATIONS


def test_customizations_may_be_json_on_the_command_line(running: TestServer, penstock: Command):
    penstock(
        *("deployment", "build", "my_flow.py:my_flow", "-n", "patched", "-i", "kubernetes-job", "-a"),
        *("--override", f"customizations={json.dumps(CUSTOMIZATIONS)}"),
    )
    found, _, slug = _deployed(running, "my-flow/patched")
    assert (slug, json.loads(found.infra_overrides["customizations"])) == ("kubernetes-job", CUSTOMIZATIONS)
    from penstock.infrastructure import KubernetesJob

    assert KubernetesJob(customizations=found.infra_overrides["customizations"]).customizations == CUSTOMIZATIONS


def test_every_setting_of_a_process_and_of_a_container_that_users_know_is_kept():
    from penstock.infrastructure import DockerContainer, DockerRegistry, ImagePullPolicy, Process

    process = Process(command=["python", "-m", "penstock.engine"], env={"A": "1"}, labels={"team": "data"}, name="mine")
    process.save("known")
    assert Process.load("known") == process

    registry = DockerRegistry(username="me", password="hunter2", registry_url="registry.example.com")
    registry.save("private")
    container = DockerContainer(
        auto_remove=True,
        command=["python", "-m", "penstock.engine"],
        env={"A": "1"},
        image="registry.example.com/team/flows:1",
        image_pull_policy=ImagePullPolicy.ALWAYS,
        image_registry=registry,
        labels={"team": "data"},
        name="mine",
        networks=["inner"],
        stream_output=False,
        volumes=["/srv/data:/data"],
    )
    container.save("known")
    loaded = DockerContainer.load("known")
    assert loaded == container
    assert loaded.image_registry.password.get_secret_value() == "hunter2"
    with pytest.raises(ValueError, match="network_mode"):
        DockerContainer(networks=["inner"], network_mode="host")


def test_types_of_a_platform_are_registered_by_their_module(penstock: Command):
    said = penstock("block", "register", "-m", "penstock.infrastructure.ecs", "-o", "name")
    assert {"aws-credentials", "ecs-task"} <= set(said.split())


@pytest.mark.parametrize(
    ("word", "needed"),
    [
        ("process", ()),
        ("docker-container", ()),
        ("kubernetes-job", ()),
        ("ecs-task", ()),
        ("cloud-run-job", ("image=registry.example.com/flows:1", "region=europe-west1")),
    ],
)
def test_each_type_of_infrastructure_is_named_as_users_know_it(
    penstock: Command, tmp_path: Path, word: str, needed: tuple[str, ...]
):
    overrides = [part for value in needed for part in ("--override", value)]
    said = penstock("deployment", "build", "my_flow.py:my_flow", "-n", "named", "-i", word, *overrides)
    assert "my-flow" in said
    written = yaml.safe_load((tmp_path / "my_flow-deployment.yaml").read_text())["infrastructure"]
    assert word in written["_block_type_slug"]


def test_a_type_whose_required_fields_are_secret_is_used_through_a_saved_block(
    running: TestServer, penstock: Command, tmp_path: Path
):
    build = ("deployment", "build", "my_flow.py:my_flow", "-n", "on-azure", "-a")
    said = penstock(*build, "-i", "container-instance-job", code=2)
    assert "subscription_id" in said
    assert "penstock block create azure-container-instance-job" in said
    (tmp_path / "azure.yaml").write_text(
        "resource_group_name: flows\nsubscription_id: 00000000-0000-0000-0000-000000000001\n"
    )
    penstock("block", "create", "azure-container-instance-job", "--name", "azure", "-f", "azure.yaml")
    penstock(*build, "-ib", "azure-container-instance-job/azure")
    _, data, slug = _deployed(running, "my-flow/on-azure")
    assert (slug, data["resource_group_name"]) == ("azure-container-instance-job", "flows")
