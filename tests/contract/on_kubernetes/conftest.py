"""A Kubernetes cluster, shared by all tests that ask for it; where none can run they skip, and fail in CI."""

import os
from collections.abc import Iterator

import kubernetes_cluster
import pytest


@pytest.fixture(scope="session")
def cluster() -> Iterator[kubernetes_cluster.Cluster]:
    lacking = kubernetes_cluster.missing()
    if lacking is not None:
        message = f"no Kubernetes can run here, missing: {lacking}"
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail(message)
        pytest.skip(message)
    with kubernetes_cluster.cluster() as running:
        yield running


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
