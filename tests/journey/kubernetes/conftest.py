"""Worlds whose flows run in pods, on the cluster that tests share."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import docker_engine
import kubernetes_cluster
import pytest
from kubernetes_fixtures import cluster
from pods_world import PodsWorld, pods_world

if TYPE_CHECKING:
    from tests.journey.conftest import World

__all__ = ["cluster"]


@pytest.fixture(scope="session")
def node(cluster: kubernetes_cluster.Cluster) -> kubernetes_cluster.Cluster:
    """The cluster whose only node is this machine, so that a test can see its files and give it images."""
    if cluster.folder is None:
        pytest.skip("its node has to be this machine: unset PENSTOCK_TEST_KUBECONFIG")
    return cluster


@pytest.fixture(scope="session")
def image(node: kubernetes_cluster.Cluster) -> str:
    """The name of the project's own image, made of this checkout, which the node has now."""
    name = docker_engine.penstock_image()
    node.load(name)
    return name


@pytest.fixture(scope="module")
def pods(
    node: kubernetes_cluster.Cluster,
    image: str,
    tmp_path_factory: pytest.TempPathFactory,
    make_world: "Callable[..., AbstractContextManager[World]]",
) -> Iterator[PodsWorld]:
    """A world with one agent on "queue", for the tests of a module that leave it as it is."""
    with pods_world(make_world, tmp_path_factory.mktemp("pods"), node, image) as made:
        made.world.agent("-q", "queue", "--name", "pods")
        yield made


@pytest.fixture
def apart(
    node: kubernetes_cluster.Cluster,
    image: str,
    tmp_path_factory: pytest.TempPathFactory,
    make_world: "Callable[..., AbstractContextManager[World]]",
) -> Iterator[PodsWorld]:
    """A world of its own, without an agent."""
    with pods_world(make_world, tmp_path_factory.mktemp("apart"), node, image) as made:
        yield made
