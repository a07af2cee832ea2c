"""Parts of the cluster die and come back. Nobody else uses it meanwhile."""

import asyncio

import pytest
from kubernetes_cluster import Cluster

from penstock.errors import NotReachable
from penstock.infrastructure.kubernetes.driver import KubernetesDriver

from .kubernetes_jobs import a_job, ask, request, until


@pytest.mark.timeout(900)  # others may use the cluster for a while yet
def test_the_api_server_and_the_kubelet_die_and_come_back_and_the_job_ends_as_it_did(cluster: Cluster) -> None:
    if cluster.folder is None:
        pytest.skip("this cluster is somebody's own: it is not broken")

    async def question(driver: KubernetesDriver) -> None:
        handle = await driver.start(request(namespace, a_job("sh", "-c", "echo here; sleep 6; exit 3")))
        await until(driver, handle, "RUNNING")
        cluster.kill_api_server()
        cluster.kill_kubelet()
        assert (await driver.observe([handle]))[0].status == "UNKNOWN"
        with pytest.raises(NotReachable):
            await driver.stop(handle, 0)
        await asyncio.to_thread(cluster.revive)
        seen = await until(driver, handle, "ENDED")
        assert seen.exit is not None
        assert seen.exit.code == 3
        assert (await driver.output(handle)).text == "here\n"
        assert len(cluster.get("pods", "-n", namespace)["items"]) == 1

    with cluster.alone(), cluster.namespace_within() as namespace:
        ask(cluster.kubeconfig, namespace, question)
