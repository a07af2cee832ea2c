"""A Kubernetes cluster, shared by all tests that ask for it; where none can run they skip, and fail in CI."""

from collections.abc import Iterator

import kubernetes_cluster
import pytest
from kubernetes_fixtures import cluster

from penstock.infrastructure.kubernetes import probing, starting, stopping, watches

__all__ = ["cluster"]


@pytest.fixture(autouse=True)
def _unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """What answers late on a busy machine is waited for: the test that is to see a limit reached sets it."""
    monkeypatch.setattr(watches, "CONFIRM_SECONDS", 60.0)
    monkeypatch.setattr(starting, "_AGAIN_SECONDS", 120.0)
    monkeypatch.setattr(stopping, "CONFIRM_SECONDS", 240.0)
    monkeypatch.setattr(probing, "PROBE_SECONDS", 240.0)
    monkeypatch.setattr(probing, "_ASK_SECONDS", 120)


@pytest.fixture
def namespace(cluster: kubernetes_cluster.Cluster) -> Iterator[str]:
    """A namespace of the test's own."""
    with cluster.namespace() as name:
        yield name


@pytest.fixture(scope="class")
def lasting_namespace(cluster: kubernetes_cluster.Cluster) -> Iterator[str]:
    """One for all tests of a class."""
    with cluster.namespace() as name:
        yield name
