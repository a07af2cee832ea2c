"""A Kubernetes cluster, shared by all tests that ask for it; where none can run they skip, and fail in CI."""

from collections.abc import Iterator

import kubernetes_cluster
import pytest
from kubernetes_fixtures import cluster

__all__ = ["cluster"]


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
