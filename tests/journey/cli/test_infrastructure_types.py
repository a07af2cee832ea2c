"""Every type of infrastructure from `deployment build` to the run, against a real server."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml
from cli_process import FLOWS, SameProcess, Terminal, known_agent

from penstock.blocks.credentials import AwsCredentials
from penstock.client import deployments, flow_runs
from penstock.client.sync import SyncClient
from penstock.deployments import Deployment, run_deployment
from penstock.engine.code import load_flow_from_entrypoint
from penstock.errors import ConfigurationError
from penstock.infrastructure import (
    AzureContainerInstanceJob,
    DockerContainer,
    ECSTask,
    KubernetesImagePullPolicy,
    KubernetesJob,
)
from penstock.infrastructure.registry import known_types, why_not_run
from penstock.model.states import StateType
from penstock.testing import TestServer, wait_until

WITHOUT_DRIVER = [slug for slug in known_types() if slug != "process" and why_not_run(slug) is not None]
#: What has to be said of a type besides its name.
NEEDED = {"cloud-run-job": ["--override", "image=gcr.io/p/flows:1", "--override", "region=europe-west1"]}
GUID = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def here(running: TestServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    """A folder with flows.py, and settings that point at the server, here and on the command line."""
    (tmp_path / "flows.py").write_text(FLOWS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PENSTOCK_HOME", str(running.home))
    monkeypatch.setenv("PENSTOCK_API_URL", running.api_url)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield SameProcess(running.env, tmp_path)
    sys.modules.pop("flows", None)


def _file(here: Terminal, path: str = "hello-deployment.yaml") -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((here.folder / path).read_text())
    return found


@pytest.mark.parametrize("slug", ["docker-container", "kubernetes-job", "ecs-task", "cloud-run-job"])
def test_build_writes_every_field_and_apply_reads_them(
    here: Terminal, running: TestServer, slug: str, name: str
) -> None:
    here.ok(
        "deployment", "build", "flows.py:hello", "-n", name, "-i", slug, *NEEDED.get(slug, []),
        "--override", "env.EXTRA_PIP_PACKAGES=s3fs", "--code", "image",
    )  # fmt: skip
    written = _file(here)
    block = written["infrastructure"]
    assert [*block][:5] == ["type", "env", "labels", "name", "command"]
    assert [*block][-2:] == ["block_type_slug", "_block_type_slug"]
    assert (block["type"], block["_block_type_slug"], block["command"]) == (slug, slug, None)
    assert written["infra_overrides"] == {"env.EXTRA_PIP_PACKAGES": "s3fs"}
    assert written["path"] == "/opt/penstock/flows"
    here.ok("deployment", "apply", "hello-deployment.yaml")
    with running.client() as client:
        record = client.send(deployments.read_deployment_by_name(f"hello/{name}"))
    assert record.infrastructure_document_id is not None
    assert record.infra_overrides == {"env.EXTRA_PIP_PACKAGES": "s3fs"}


def test_fields_that_a_type_cannot_be_without_come_from_overrides_into_the_block(here: Terminal, name: str) -> None:
    said = here("deployment", "build", "flows.py:hello", "-n", name, "-i", "cloud-run-job")
    assert said.code == 2
    assert "cloud-run-job needs image and region" in said.err
    assert "--override image=… --override region=…" in said.err
    wrong = ["--override", "image=x", "--override", "region=us-east1-b"]
    assert "its region is 'us-east1'" in here("deployment", "build", "flows.py:hello", "-n", name, "-i", "cloud-run-job", *wrong).err  # fmt: skip
    here.ok("deployment", "build", "flows.py:hello", "-n", name, "-i", "cloud-run-job", *NEEDED["cloud-run-job"])
    written = _file(here)
    assert (written["infrastructure"]["region"], written["infra_overrides"]) == ("europe-west1", {})


@pytest.mark.parametrize("word", ["container-instance-job", "azure-container-instance-job"])
def test_a_type_that_needs_a_secret_asks_for_a_saved_block(here: Terminal, word: str, name: str) -> None:
    said = here(
        "deployment", "build", "flows.py:hello", "-n", name, "-i", word, "--override", f"subscription_id={GUID}"
    )
    assert said.code == 2
    assert "what is secret belongs into a block" in said.err
    assert f"-ib azure-container-instance-job/NAME" in said.err  # noqa: F541
    AzureContainerInstanceJob(resource_group_name="g", subscription_id=GUID).save(name)  # type: ignore[arg-type]
    here.ok("deployment", "build", "flows.py:hello", "-n", name, "-ib", f"azure-container-instance-job/{name}", "-a")
    assert GUID not in (here.folder / "hello-deployment.yaml").read_text()
    here.ok("deployment", "apply", "hello-deployment.yaml")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["-i", "docker-contaner"], "Did you mean 'docker-container'"),
        (["-i", "docker-container", "--override", "imgae=x"], "Did you mean 'image'"),
        (["-i", "docker-container", "--override", "image_pull_policy=NEVR"], "Did you mean 'NEVER'"),
        (["-i", "docker-container", "--override", 'networks=["a"]', "--override", "network_mode=host"], "exclude"),
        (["-i", "docker-container", "--override", 'volumes=["/a"]'], "has no colon"),
        (["-i", "docker-container", "--override", "image_registry.password=x"], "overrides are kept in clear"),
        (["-i", "kubernetes-job", "--override", "namepsace=dev"], "Did you mean 'namespace'"),
        (["-i", "kubernetes-job", "--override", 'customizations=[{"op": "ad"}]'], "Did you mean 'add'"),
        (["-i", "ecs-task", "--override", "cpu=257"], "the nearest is 256"),
        (["-i", "ecs-task", "--override", "aws_credentials.region=x"], "Did you mean 'region_name'"),
        (["-i", "ecs-task", "--override", 'aws_credentials={"aws_secret_access_key": "x"}'], "overrides are kept in clear"),
    ],
)  # fmt: skip
def test_a_slip_in_an_option_is_told_where_it_is_written_and_nothing_is_done(
    here: Terminal, options: list[str], said: str, name: str
) -> None:
    done = here("deployment", "build", "flows.py:hello", "-n", name, *options, "-a")
    assert done.code == 2, done
    assert said in done.err
    assert not (here.folder / "hello-deployment.yaml").exists()
    assert name not in here.ok("deployment", "ls", "-o", "name").out


def test_overrides_of_the_command_line_reach_into_blocks_and_manifests(here: Terminal, name: str) -> None:
    overrides = {
        "job.spec.template.spec.nodeSelector.disk": "fast",
        "customizations": '[{"op": "add", "path": "/spec/template/spec/nodeSelector/zone", "value": "a"}]',
        "image_pull_policy": "always",
        "finished_job_ttl": "300",
    }
    options = [part for key, value in overrides.items() for part in ("--override", f"{key}={value}")]
    here.ok("deployment", "build", "flows.py:hello", "-n", name, "-i", "kubernetes-job", *options, "-a")
    assert _file(here)["infra_overrides"] == overrides


@pytest.mark.parametrize("slug", WITHOUT_DRIVER)
def test_it_is_told_at_once_that_nobody_will_take_the_runs_for_want_of_a_driver(
    here: Terminal, slug: str, name: str
) -> None:
    if slug == "azure-container-instance-job":
        AzureContainerInstanceJob(resource_group_name="g", subscription_id=GUID).save(name)  # type: ignore[arg-type]
        options = ["-ib", f"{slug}/{name}"]
    else:
        options = ["-i", slug, *NEEDED.get(slug, [])]
        refused = here("run", "flows.py:hello", "--on", slug, *NEEDED.get(slug, []))
        assert refused.code == 2
        assert f"has no driver for {slug} yet" in refused.err
    for built in (
        here.ok("deployment", "build", "flows.py:hello", "-n", name, *options),
        here.ok("deployment", "apply", "hello-deployment.yaml"),
    ):
        assert f"has no driver for {slug} yet" in built.err
        assert "No agent of this version takes its runs." in built.err


@pytest.mark.skipif(not WITHOUT_DRIVER, reason="every type has a driver")
def test_a_run_without_a_driver_is_taken_by_nobody_and_its_explanation_says_why(
    here: Terminal, running: TestServer, name: str
) -> None:
    flow = load_flow_from_entrypoint("flows.py:hello")
    AwsCredentials(region_name="eu-central-1").save(name)
    blocks = {
        "docker-container": DockerContainer(),
        "kubernetes-job": KubernetesJob(),
        "ecs-task": ECSTask(aws_credentials=AwsCredentials.load(name)),
        "azure-container-instance-job": AzureContainerInstanceJob(resource_group_name="g", subscription_id=GUID),  # type: ignore[arg-type]
    }
    with known_agent(running, "--work-queue", name):
        for slug in sorted({*WITHOUT_DRIVER} & {*blocks}):
            Deployment.build_from_flow(
                flow, f"{name}-{slug}", infrastructure=blocks[slug], work_queue_name=name, apply=True
            )
            run = run_deployment(f"hello/{name}-{slug}", timeout=0, as_subflow=False)
            with running.client() as client:
                _wait_until_explained(client, run.id, f"It needs {slug}, which no agent of work queue '{name}' can run")
                assert client.send(flow_runs.read_flow_run(run.id)).state_type is StateType.SCHEDULED


def _wait_until_explained(client: SyncClient, run_id: UUID, words: str) -> None:
    explain = flow_runs.explain_flow_run(run_id)
    wait_until(lambda: words in client.send(explain)["explanation"], 120, f"its explanation says {words!r}")


#: Deployment files as Prefect 2.8 writes them, cut to what is about infrastructure.
DOCKER_OF_PREFECT_2 = """
name: {name}
flow_name: hello
entrypoint: flows.py:hello
path: /opt/prefect/flows
infra_overrides:
  env.EXTRA_PIP_PACKAGES: s3fs
infrastructure:
  type: docker-container
  env: {{}}
  labels: {{}}
  name: null
  command:
  - python
  - -m
  - prefect.engine
  image: prefecthq/prefect:dev-python3.9
  image_pull_policy: null
  networks: []
  network_mode: null
  auto_remove: false
  volumes: []
  stream_output: true
  memswap_limit: null
  mem_limit: null
  privileged: false
  block_type_slug: docker-container
  _block_type_slug: docker-container
"""
KUBERNETES_OF_PREFECT_2 = """
name: {name}
flow_name: hello
entrypoint: flows.py:hello
path: /opt/prefect/flows
infra_overrides: {{}}
infrastructure:
  type: kubernetes-job
  command: null
  image: prefecthq/prefect:2.8.2-python3.11
  namespace: default
  cluster_config: null
  job:
    apiVersion: batch/v1
    kind: Job
    metadata:
      labels: {{}}
    spec:
      template:
        spec:
          parallelism: 1
          completions: 1
          restartPolicy: Never
          containers:
          - name: prefect-job
            env: []
  customizations: []
  job_watch_timeout_seconds: null
  pod_watch_timeout_seconds: 60
  finished_job_ttl: null
  _block_type_slug: kubernetes-job
"""


@pytest.mark.parametrize("text", [DOCKER_OF_PREFECT_2, KUBERNETES_OF_PREFECT_2])
def test_files_of_prefect_2_are_applied_as_they_are(here: Terminal, text: str, name: str) -> None:
    (here.folder / "old.yaml").write_text(text.format(name=name))
    here.ok("deployment", "apply", "old.yaml")
    assert f"hello/{name}" in here.ok("deployment", "ls", "-o", "name").out


def test_built_again_without_saying_it_a_deployment_keeps_its_infrastructure_and_where_its_code_lies(
    here: Terminal, name: str
) -> None:
    here.ok("deployment", "build", "flows.py:hello", "-n", name, "-i", "docker-container", "--code", "image", "-a")
    here.ok("deployment", "build", "flows.py:hello", "-n", name, "-t", "again")
    written = _file(here)
    assert (written["infrastructure"]["type"], written["path"]) == ("docker-container", "/opt/penstock/flows")
    here.ok("deployment", "build", "flows.py:hello", "-n", name, "-i", "process")
    assert _file(here)["path"] == str(here.folder)


def test_a_file_may_name_the_type_alone(here: Terminal, name: str) -> None:
    (here.folder / "short.yaml").write_text(
        f"name: {name}\nflow_name: hello\nentrypoint: flows.py:hello\ninfrastructure:\n  type: container-instance-job\n"
        f"  resource_group_name: g\n  subscription_id: {GUID}\n"
    )
    assert isinstance(Deployment.load_from_yaml("short.yaml").infrastructure, AzureContainerInstanceJob)


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


def test_a_saved_kubernetes_block_is_the_infrastructure_of_a_deployment(here: Terminal, running: TestServer) -> None:
    k8s_job = KubernetesJob(
        namespace="dev",
        image="prefecthq/prefect:2.0.0-python3.9",
        image_pull_policy=KubernetesImagePullPolicy.IF_NOT_PRESENT,
    )
    k8s_job.save("k8sdev")
    here.ok("deployment", "build", "flows.py:hello", "--name", "k8sdev", "--tag", "k8s", "-ib", "kubernetes-job/k8sdev")
    block = _file(here)["infrastructure"]
    assert (block["_block_document_name"], block["namespace"]) == ("k8sdev", "dev")
    assert [*_file(here)][-8:-4] == ["manifest_path", "infrastructure", "storage", "path"]
    here.ok("deployment", "apply", "hello-deployment.yaml")
    with running.client() as client:
        record = client.send(deployments.read_deployment_by_name("hello/k8sdev"))
    assert record.infrastructure_document_id == KubernetesJob.load("k8sdev").block_id


def test_customizations_may_be_in_the_block_and_in_the_overrides_of_a_deployment(here: Terminal) -> None:
    k8s_job = KubernetesJob(
        namespace="dev",
        image="flows:1",
        image_pull_policy=KubernetesImagePullPolicy.ALWAYS,
        finished_job_ttl=300,
        job_watch_timeout_seconds=600,
        pod_watch_timeout_seconds=600,
        service_account_name="prefect-server",
        customizations=CUSTOMIZATIONS,
    )
    k8s_job.save("devk8s")
    k8sjob = k8s_job.load("devk8s")
    assert k8sjob == k8s_job
    deployment = Deployment.build_from_flow(
        flow=load_flow_from_entrypoint("flows.py:hello"),
        name="s3-example",
        version=2,
        work_queue_name="aws",
        infrastructure=k8sjob,
        infra_overrides={"customizations": CUSTOMIZATIONS},
    )
    deployment.apply()
    deployment.update(infra_overrides={"customizations": [{"op": "add", "path": "/spec/templates/x", "value": 1}]})
    with pytest.raises(ConfigurationError, match="Did you mean 'template'"):
        deployment.apply()


def test_the_blocks_of_a_platform_are_registered_by_their_module(here: Terminal) -> None:
    assert here.ok("block", "register", "-m", "penstock.infrastructure.ecs", "-o", "name").out.split() == [
        "aws-credentials",
        "ecs-task",
    ]


@pytest.mark.parametrize(
    ("module", "slugs"),
    [
        ("prefect_aws.ecs", ["aws-credentials", "ecs-task", "minio-credentials"]),
        ("penstock_gcp.cloud_run", ["cloud-run-job", "gcp-credentials"]),
        ("prefect_github", ["git-repository", "github"]),
        (
            "prefect_gitlab",
            ["bitbucket-credentials", "bitbucket-repository", "gitlab-credentials", "gitlab-repository"],
        ),
    ],
)
def test_packages_of_prefect_2_whose_blocks_come_along_are_known_by_name(
    here: Terminal, module: str, slugs: list[str]
) -> None:
    assert here.ok("block", "register", "-m", module, "-o", "name").out.split() == slugs


def test_a_package_that_does_not_come_along_is_told(here: Terminal) -> None:
    said = here("block", "register", "-m", "prefect_snowflake")
    assert said.code != 0
    assert "There is no module 'prefect_snowflake'" in said.err
