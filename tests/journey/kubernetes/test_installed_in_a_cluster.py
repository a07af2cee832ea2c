"""Server and agent out of `penstock kubernetes manifest`, applied as they are printed; a flow that is deployed there."""

import base64
import json
import os
from pathlib import Path

import pytest
from kubernetes_cluster import Cluster
from projects import Project

from penstock.testing import wait_until
from penstock.testing.servers import isolated_environment

#: This cluster has nothing that makes volumes, so its admin has laid one ready.
VOLUME = """
apiVersion: v1
kind: PersistentVolume
metadata: {{name: {name}}}
spec:
  capacity: {{storage: 5Gi}}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  claimRef: {{namespace: {name}, name: penstock-server}}
  hostPath: {{path: {folder}}}
"""


@pytest.mark.soak
@pytest.mark.skipif(not os.environ.get("PENSTOCK_TEST_SOAK"), reason="takes long: set PENSTOCK_TEST_SOAK")
def test_what_is_printed_starts_is_ready_and_runs_a_flow(node: Cluster, image: str, tmp_path: Path) -> None:
    project = Project(tmp_path / "project", isolated_environment(tmp_path / "home"))
    with node.namespace() as namespace:
        volume = tmp_path / "volume"
        volume.mkdir()
        volume.chmod(0o777)  # a volume of the node's own gets no fsGroup
        node.kubectl("apply", "-f", "-", stdin=VOLUME.format(name=namespace, folder=volume))
        try:
            where = ["-n", namespace, "-i", image]
            for what in ("server", "agent"):
                printed = project.ok("kubernetes", "manifest", what, *where).stdout
                node.kubectl("apply", "-n", namespace, "-f", "-", stdin=printed)
                if what == "server":
                    node.kubectl("rollout", "status", "deployment/penstock-server", "-n", namespace, "--timeout=600s")
                    # without a cluster's DNS, agents and pods are told the Service's address
                    address = node.get("service", "penstock-server", "-n", namespace)["spec"]["clusterIP"]
                    key = node.get("secret", "penstock-server", "-n", namespace)["data"]["api-key"]
                    project.env |= {"PENSTOCK_API_URL": f"http://{address}:4200/api"}
                    where += ["--api-key-secret", "penstock-server"]
            node.kubectl("rollout", "status", "deployment/penstock-agent", "-n", namespace, "--timeout=600s")
            project.env |= {"PENSTOCK_API_KEY": base64.b64decode(key).decode()}
            overrides = ["--override", f"image={image}", "--override", f"namespace={namespace}"]
            build = ["deployment", "build", "flows.py:hello", "-n", "inside", "-i", "kubernetes-job"]
            project.ok(*build, "-q", "kubernetes", *overrides, "--no-check", "-a")
            done = project.ok("deployment", "run", "hello/inside", "--watch", "-p", "name=inside")
            assert "Completed" in done.stderr
            assert "hello inside, says a file" in project.ok("flow-run", "logs", "@latest").stdout
            assert json.loads(project.ok("agent", "ls", "-o", "json").stdout)
            wait_until(lambda: not node.get("jobs", "-n", namespace)["items"], 240, "no Job is left")
        finally:
            node.kubectl("delete", "persistentvolume", namespace, "--wait=false")
