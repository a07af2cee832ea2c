"""`penstock run FILE:FLOW --on kubernetes`, with a cluster, an image, and a server that pods reach."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from cluster_side import ClusterSide, cluster_side
from elsewhere import Elsewhere, RunElsewhere, check_it_is_told_before_anything_is_asked_for
from kubernetes_cluster import Cluster
from pods_world import environment
from projects import Project

from penstock.model.flow_runs import FlowRun
from penstock.testing import TestServer, server


@pytest.fixture(scope="module")
def running(node: Cluster) -> Iterator[TestServer]:
    with server(env=environment(node)) as found:
        yield found


@pytest.fixture(scope="module")
def side(running: TestServer, node: Cluster) -> Iterator[ClusterSide]:
    with cluster_side(node, running.api_url) as found:
        yield found


@pytest.fixture
def elsewhere(running: TestServer, side: ClusterSide, image: str, tmp_path: Path) -> Elsewhere:
    options = ["--on", "kubernetes", "--image", image, "--override", f"namespace={side.namespace}"]
    return Elsewhere(Project(tmp_path / "project", running.env), running, options)


class TestRunOnKubernetes(RunElsewhere):
    package, extra = "kubernetes_asyncio", "kubernetes"

    @pytest.fixture
    def what_goes_on(self, elsewhere: Elsewhere, side: ClusterSide) -> Iterator[Callable[[FlowRun], Sequence[object]]]:
        yield side.alive
        side.wait_until_gone(elsewhere.runs()[0])


def test_a_flow_with_what_lies_beside_it_runs_in_a_pod_and_nothing_is_left_of_it(
    elsewhere: Elsewhere, side: ClusterSide
) -> None:
    done = elsewhere.run("flows.py:hello", "-p", "name=you", "--override", "env.LEVEL=debug")
    assert done.returncode == 0, done
    assert "hello you, says a file" in done.stdout
    assert "in a container: False debug" in done.stdout  # Docker's mark: this one has none
    assert "Completed" in done.stderr
    run = elsewhere.runs()[0]
    side.wait_until_gone(run)
    assert f":{side.namespace}:" in (run.infrastructure_pid or "")


def test_a_cluster_that_is_not_there_is_told_in_one_error_before_anything_is_asked_for(
    elsewhere: Elsewhere, tmp_path: Path
) -> None:
    nobodys = str(tmp_path / "nobodys")
    check_it_is_told_before_anything_is_asked_for(elsewhere, nobodys, KUBECONFIG=nobodys)


def test_a_server_that_no_pod_reaches_is_told_before_anything_is_asked_for(
    elsewhere: Elsewhere, own_home: Path
) -> None:
    local = {key: value for key, value in elsewhere.project.env.items() if "API" not in key}
    elsewhere.project.env = {**local, "PENSTOCK_HOME": str(own_home)}
    done = elsewhere.run("flows.py:hello")
    assert done.returncode == 2, done
    assert "127.0.0.1" in done.stderr
    assert "means the job itself" in done.stderr
    assert "PENSTOCK_API_URL" in done.stderr
    assert done.stderr.count("error:") == 1
