"""Parts of the cluster die and come back. Nobody else uses it meanwhile."""

import asyncio
from pathlib import Path

import pytest
from kubernetes_cluster import Cluster

from penstock.errors import NotReachable
from penstock.infrastructure.kubernetes.driver import KubernetesDriver
from penstock.testing import wait_until

from .kubernetes_jobs import PATIENCE, a_job, ask, request, until


def test_the_api_server_and_the_kubelet_die_and_come_back_and_the_job_ends_as_it_did(
    cluster: Cluster, tmp_path: Path
) -> None:
    if cluster.folder is None:
        pytest.skip("this cluster is somebody's own: it is not broken")

    async def question(driver: KubernetesDriver) -> None:
        # a folder of the node's, which is this machine: there is no other way into a pod without an API server
        volume, mount = {"name": "f", "hostPath": {"path": str(tmp_path)}}, {"name": "f", "mountPath": "/f"}
        held = a_job("sh", "-c", "echo here; until [ -e /f/go ]; do sleep 0.1; done; touch /f/gone; exit 3")
        handle = await driver.start(request(namespace, held, volumes=[volume], volume_mounts=[mount]))
        await until(driver, handle, "RUNNING")
        cluster.kill_api_server()
        cluster.kill_kubelet()
        assert (await driver.observe([handle]))[0].status == "UNKNOWN"
        with pytest.raises(NotReachable):
            await driver.stop(handle, 0)
        (tmp_path / "go").touch()
        wait_until((tmp_path / "gone").exists, PATIENCE, "it ends while nobody looks")
        await asyncio.to_thread(cluster.revive)
        seen = await until(driver, handle, "ENDED")
        assert seen.exit is not None
        assert seen.exit.code == 3
        assert (await driver.output(handle)).text == "here\n"
        assert len(cluster.get("pods", "-n", namespace)["items"]) == 1

    with cluster.alone(), cluster.namespace_within() as namespace:
        ask(cluster.kubeconfig, namespace, question)
