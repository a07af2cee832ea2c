"""The exam of drivers, taken by the driver of Kubernetes Jobs on a real cluster, through a proxy."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import kubernetes_cluster
import pytest

from penstock.infrastructure.base import Driver, Job
from penstock.infrastructure.kubernetes import KubernetesJob
from penstock.infrastructure.kubernetes.driver import KubernetesDriver
from penstock.infrastructure.kubernetes.render import render
from penstock.testing import FaultProxy
from penstock.testing.driver_contract import KILLED, STUBBORN, Candidate, DriverContract

from .kubernetes_jobs import way


class KubernetesCandidate(Candidate):
    patience = 240.0
    tells_unended_lines = False

    def __init__(self, kubeconfig: Path, namespace: str, proxy: FaultProxy | None = None) -> None:
        self._kubeconfig, self._namespace, self._proxy = kubeconfig, namespace, proxy

    def driver(self) -> Driver:
        return KubernetesDriver({"KUBECONFIG": str(self._kubeconfig)}, self._namespace)

    def request(self, job: Job) -> Any:
        # the first process of a container takes no signal of its own: there it must not be the first
        patch = [{"op": "add", "path": "/spec/template/spec/shareProcessNamespace", "value": True}]
        customizations = patch if job.command == KILLED else []
        # Kubernetes itself gives a pod no more than its manifest's grace: only who does not hear is to be out of it soon
        config = KubernetesJob(
            image=kubernetes_cluster.BUSYBOX,
            namespace=self._namespace,
            customizations=customizations,
            grace_seconds=2 if job.command == STUBBORN else 30,
        )
        return render(config, job)

    def refused(self, job: Job) -> Any:
        patch = [{"op": "add", "path": "/spec/template/spec/dnsPolicy", "value": "Quantum"}]
        config = KubernetesJob(image=kubernetes_cluster.BUSYBOX, namespace=self._namespace, customizations=patch)
        return render(config, job)

    def cut(self) -> AbstractContextManager[None] | None:
        return _cutting(self._proxy) if self._proxy is not None else None


@contextmanager
def _cutting(proxy: FaultProxy) -> Iterator[None]:
    proxy.refuse()
    try:
        yield
    finally:
        proxy.refuse(False)


class TestKubernetesDriver(DriverContract):
    @pytest.fixture(autouse=True)
    def _candidate(self, cluster: kubernetes_cluster.Cluster, lasting_namespace: str, tmp_path: Path) -> Iterator[None]:
        with way(cluster, tmp_path) as reached:
            self.candidate = KubernetesCandidate(reached.kubeconfig, lasting_namespace, reached.proxy)
            yield


@pytest.mark.soak
@pytest.mark.skipif("PENSTOCK_TEST_SOAK" not in os.environ, reason="takes long: set PENSTOCK_TEST_SOAK")
class TestKubernetesDriverByTLS(DriverContract):
    """The same without a proxy: over TLS, as agents do it."""

    @pytest.fixture(autouse=True)
    def _candidate(self, cluster: kubernetes_cluster.Cluster, lasting_namespace: str) -> None:
        self.candidate = KubernetesCandidate(cluster.kubeconfig, lasting_namespace)
