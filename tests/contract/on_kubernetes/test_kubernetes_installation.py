"""Manifests of server and agent, given to a real cluster: taken, sufficient, and not one right too many."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker_engine
import pytest
from kubernetes_cluster import Cluster

from penstock.infrastructure.kubernetes.installation import (
    AgentOptions,
    ServerOptions,
    agent_objects,
    server_objects,
    to_yaml,
)
from penstock.infrastructure.kubernetes.permissions import PERMISSIONS
from penstock.testing import wait_until

from .kubernetes_jobs import PATIENCE, may

DEPLOY = Path(__file__).parents[3] / "deploy" / "kustomize"
#: What an agent has no business with.
DENIED = [
    ("get", "secrets"),
    ("list", "secrets"),
    ("delete", "secrets"),
    ("create", "pods"),
    ("create", "pods/exec"),
    ("update", "jobs.batch"),
    ("deletecollection", "jobs.batch"),
    ("get", "configmaps"),
    ("get", "nodes"),
    ("create", "roles.rbac.authorization.k8s.io"),
]


@pytest.fixture(scope="module")
def namespace(cluster: Cluster) -> Iterator[str]:
    with cluster.namespace() as name:
        yield name


def _applied(cluster: Cluster, objects: list[dict[str, Any]], *options: str) -> list[str]:
    said = cluster.kubectl("apply", "-o", "name", *options, "-f", "-", stdin=to_yaml(objects))
    return said.split()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"postgres_password": "a/b c", "replicas": 2, "storage_class": "fast"},
        {"database_secret": ("db", "url"), "replicas": 2, "api_key": None, "server_keys": None},
    ],
)
def test_an_api_server_takes_a_server_whatever_its_database(
    cluster: Cluster, namespace: str, options: dict[str, Any]
) -> None:
    found = server_objects(
        ServerOptions(**{"image": "x:1", "namespace": namespace, "api_key": "k", "server_keys": "s", **options})
    )
    assert len(_applied(cluster, found, "--dry-run=server", "--validate=true")) == len(found)


def test_the_service_account_of_an_agent_may_do_what_the_table_says_and_nothing_else(
    cluster: Cluster, namespace: str
) -> None:
    found = agent_objects(AgentOptions("x:1", "http://p.example.org/api", namespace, replicas=1))
    found = [item for item in found if item["kind"] != "Deployment"]
    assert len(_applied(cluster, found, "--validate=true")) == len(found) == 3
    account = f"system:serviceaccount:{namespace}:penstock-agent"

    def allowed(verb: str, resource: str, where: str = namespace) -> bool:
        # with their group, as kubectl writes them: jobs.batch, pods/exec
        plural, _, group = resource.partition(".")
        return may(cluster, account, verb, plural, group, where)

    wait_until(lambda: allowed("create", "jobs.batch"), PATIENCE, "the API server has heard of the role")
    for permission in PERMISSIONS:
        resource = f"{permission.resource}.{permission.group}" if permission.group else permission.resource
        assert all(allowed(verb, resource) for verb in permission.verbs), permission
    assert not [one for one in DENIED if allowed(*one)]
    assert not allowed("create", "jobs.batch", "default")


@pytest.mark.parametrize("overlay", ["sqlite", "postgresql", "external-database"])
def test_the_folders_build_with_kubectl_and_are_taken(
    cluster: Cluster, namespace: str, tmp_path: Path, overlay: str
) -> None:
    shutil.copytree(DEPLOY, tmp_path / "kustomize")
    folder = tmp_path / "kustomize" / "overlays" / overlay
    # a namespace that is there, because a dry run makes none
    text = (folder / "kustomization.yaml").read_text().replace("namespace: penstock", f"namespace: {namespace}")
    text = text.replace("- namespace.yaml\n", "")
    # folders among resources came with kubectl 1.21; before, they had a list of their own
    (folder / "kustomization.yaml").write_text(_for_old_kubectl(text))
    built = cluster.kubectl("kustomize", str(folder))
    assert "kind: Deployment" in built
    said = cluster.kubectl("apply", "-o", "name", "--dry-run=server", "-f", "-", stdin=built).split()
    assert {"deployment.apps/penstock-server", "deployment.apps/penstock-agent", "service/penstock-server"} <= {*said}
    newer = shutil.which("kubectl")
    if newer is not None:
        done = subprocess.run(
            [newer, "kustomize", str(DEPLOY / "overlays" / overlay)], capture_output=True, text=True, check=True
        )
        assert "kind: Namespace" in done.stdout


def _for_old_kubectl(text: str) -> str:
    return text.replace("resources:", "bases:")


@pytest.mark.soak
@pytest.mark.skipif(not os.environ.get("PENSTOCK_TEST_SOAK"), reason="PENSTOCK_TEST_SOAK is not set")
def test_what_is_printed_runs_a_flow_in_a_pod_of_the_cluster(cluster: Cluster, tmp_path: Path) -> None:
    """A server, an agent that is a pod itself, and a run in a pod: with the rights and the security of the manifests."""
    image = docker_engine.penstock_image()
    cluster.load(image)
    with cluster.namespace() as namespace:
        server = server_objects(ServerOptions(image, namespace, api_key="a key", server_keys=f"{'A' * 43}="))
        # this cluster has nothing that makes volumes
        server = [item for item in server if item["kind"] != "PersistentVolumeClaim"]
        for item in server:
            if item["kind"] == "Deployment":
                item["spec"]["template"]["spec"]["volumes"][0] = {"name": "home", "emptyDir": {}}
        _applied(cluster, server)
        cluster.kubectl("rollout", "status", "deployment/penstock-server", "-n", namespace, "--timeout=600s")
        address = cluster.get("service", "penstock-server", "-n", namespace)["spec"]["clusterIP"]
        api_url = f"http://{address}:4200/api"
        _applied(cluster, agent_objects(AgentOptions(image, api_url, namespace, secret_name="penstock-server")))
        cluster.kubectl("rollout", "status", "deployment/penstock-agent", "-n", namespace, "--timeout=600s")
        (tmp_path / "flows.py").write_text(
            "from penstock import flow\n\n\n@flow(log_prints=True)\ndef hello():\n    print('hello from a pod')\n"
        )
        env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK_")},
            "PENSTOCK_HOME": str(tmp_path / "home"),
            "PENSTOCK_API_URL": api_url,
            "PENSTOCK_API_KEY": "a key",
        }
        overrides = [word for text in (f"image={image}", f"namespace={namespace}") for word in ("--override", text)]
        build = ["deployment", "build", "flows.py:hello", "-n", "pod", "-i", "kubernetes-job", "-q", "kubernetes", "-a"]
        _penstock([*build, *overrides], tmp_path, env)
        said = _penstock(["deployment", "run", "hello/pod", "--watch"], tmp_path, env)
        assert "hello from a pod" in said
        assert "is Completed" in said


def _penstock(arguments: list[str], folder: Path, env: dict[str, str]) -> str:
    program = shutil.which("penstock") or str(Path(__file__).parents[3] / ".venv" / "bin" / "penstock")
    done = subprocess.run(
        [program, *arguments],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=600,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
