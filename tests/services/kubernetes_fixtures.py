"""The Kubernetes cluster as a fixture: imported by the conftest of every folder whose tests use one."""

import os
from collections.abc import Iterator

import kubernetes_cluster
import pytest


@pytest.fixture(scope="session")
def cluster() -> Iterator[kubernetes_cluster.Cluster]:
    """A cluster, shared by all tests that ask for it; where none can run they skip, and fail in CI."""
    lacking = kubernetes_cluster.missing()
    if lacking is not None:
        message = f"no Kubernetes can run here, missing: {lacking}"
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail(message)
        pytest.skip(message)
    with kubernetes_cluster.cluster() as running:
        yield running
