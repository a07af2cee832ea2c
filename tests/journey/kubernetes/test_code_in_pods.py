"""Code that pods get as a bundle, and results that they leave. They share no disk with anybody."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from cluster_side import ClusterSide, cluster_side
from kubernetes_cluster import Cluster
from pods_world import KEY, environment
from projects import Project
from stores import stores

from penstock.testing import TestServer, agent, server

QUEUE = "pods"
#: In the node's network, as its own programs are: there the tests' store is.
IN_THE_NODES_NETWORK = 'customizations={"spec": {"template": {"spec": {"hostNetwork": true}}}}'
READ_THE_RESULT = (
    "from penstock.client import get_sync_client, flow_runs; import sys\n"
    "with get_sync_client() as client:\n"
    "    print(client.send(flow_runs.read_flow_run(sys.argv[1])).state.result())\n"
)


@pytest.fixture(scope="module")
def running(node: Cluster) -> Iterator[TestServer]:
    with server(env=environment(node)) as found, agent(found, "-q", QUEUE):
        yield found


@pytest.fixture(scope="module")
def side(running: TestServer, node: Cluster) -> Iterator[ClusterSide]:
    with cluster_side(node, running.api_url) as found:
        yield found


def test_code_and_data_travel_as_a_bundle_and_the_result_comes_back(
    running: TestServer, side: ClusterSide, image: str, tmp_path: Path
) -> None:
    project, name = Project(tmp_path / "project", running.env), f"d-{uuid4().hex[:8]}"
    with stores(tmp_path) as store, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PENSTOCK_API_URL", running.api_url)
        patch.setenv("PENSTOCK_API_KEY", KEY)
        store.block("s3").save("results")
        project.ok(
            "deployment", "build", "flows.py:kept", "-n", name, "-q", QUEUE, "-i", "kubernetes-job",
            "--override", f"image={image}", "--override", f"namespace={side.namespace}",
            "--override", IN_THE_NODES_NETWORK, "--no-check", "-a",
        )  # fmt: skip
        done = project.ok("deployment", "run", f"kept/{name}", "--watch", "-p", "name=bundle")
        assert "Completed" in done.stderr
        with running.client() as client:
            (run,) = client.read_flow_runs()
        said = subprocess.run(
            [sys.executable, "-c", READ_THE_RESULT, str(run.id)], env=project.env, capture_output=True, text=True
        )
    assert said.stdout.strip() == "hello bundle, says a file", said.stderr
    side.wait_until_gone(run)  # with the last of its log sent
    assert "Finished in state Completed" in project.ok("flow-run", "logs", "@latest").stdout
