"""`penstock run FILE:FLOW --on kubernetes`, with a cluster, an image, and a server that pods reach."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster_side import ClusterSide, cluster_side
from kubernetes_cluster import Cluster
from pods_world import environment
from projects import Project

from penstock.client import flow_runs
from penstock.model.flow_runs import FlowRun
from penstock.testing import TestServer, server, wait_until


@pytest.fixture(scope="module")
def running(node: Cluster) -> Iterator[TestServer]:
    with server(env=environment(node)) as found:
        yield found


@pytest.fixture(scope="module")
def side(running: TestServer, node: Cluster) -> Iterator[ClusterSide]:
    with cluster_side(node, running.api_url) as found:
        yield found


class Here:
    """A project, and `penstock run … --on kubernetes` in it."""

    def __init__(self, project: Project, image: str, namespace: str) -> None:
        self.project, self.image, self.namespace = project, image, namespace

    def arguments(self, *arguments: str) -> list[str]:
        where = ["--on", "kubernetes", "--image", self.image, "--override", f"namespace={self.namespace}"]
        return ["run", *arguments, *where]

    def run(self, *arguments: str, **env: str) -> "subprocess.CompletedProcess[str]":
        return self.project(*self.arguments(*arguments), **env)


@pytest.fixture
def here(running: TestServer, side: ClusterSide, image: str, tmp_path: Path) -> Here:
    return Here(Project(tmp_path / "project", running.env), image, side.namespace)


def _latest(running: TestServer) -> FlowRun | None:
    with running.client() as client:
        found = client.send(flow_runs.read_flow_runs(sort="START_TIME_DESC", limit=1))
    return found[0] if found else None


def test_a_flow_with_what_lies_beside_it_runs_in_a_pod_and_nothing_is_left_of_it(
    here: Here, running: TestServer, side: ClusterSide
) -> None:
    done = here.run("flows.py:hello", "-p", "name=you", "--override", "env.LEVEL=debug")
    assert done.returncode == 0, done
    assert "hello you, says a file" in done.stdout
    assert "in a container: False debug" in done.stdout  # Docker's mark: this one has none
    assert "Completed" in done.stderr
    assert side.kinds() == []
    run = _latest(running)
    assert run is not None
    assert f":{side.namespace}:" in (run.infrastructure_pid or "")


@pytest.mark.parametrize(
    ("flow", "code", "said"),
    [("fails", 10, ["UserCodeRaised", "no good"]), ("crashes", 11, ["Exited", "about to die"])],
)
def test_the_exit_code_and_the_last_lines_say_how_the_run_ended(
    here: Here, flow: str, code: int, said: list[str]
) -> None:
    done = here.run(f"flows.py:{flow}")
    assert done.returncode == code, done
    assert [words for words in said if words not in done.stdout + done.stderr] == []


def test_ctrl_c_cancels_the_run_and_waits_until_its_pod_is_gone(
    here: Here, running: TestServer, side: ClusterSide, tmp_path: Path
) -> None:
    with (tmp_path / "said").open("w+") as said:
        started = subprocess.Popen(
            here.project.command(*here.arguments("flows.py:waits")),
            env=here.project.env,
            cwd=here.project.folder,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
        try:
            wait_until(lambda: "waiting" in (tmp_path / "said").read_text(), 60, "the flow runs")
            started.send_signal(signal.SIGINT)
            code = started.wait(60)
        finally:
            if started.poll() is None:
                started.kill()
                started.wait()
    text = (tmp_path / "said").read_text()
    assert code == 12, text
    assert "Cancelling" in text
    run = _latest(running)
    assert run is not None
    assert run.state_name == "Cancelled"
    assert side.alive(run) == [], side.of_kind("Pod", run)
    side.wait_until_gone(run)


def test_a_cluster_that_is_not_there_is_told_in_one_error_before_anything_is_asked_for(
    here: Here, running: TestServer, tmp_path: Path
) -> None:
    before = _latest(running)
    done = here.run("flows.py:hello", KUBECONFIG=str(tmp_path / "nobodys"))
    assert done.returncode not in (0, 10, 11), done
    assert str(tmp_path / "nobodys") in done.stderr
    assert done.stderr.count("error:") == 1
    assert "hint:" in done.stderr
    assert _latest(running) == before


def test_a_missing_package_is_told_with_the_extra_that_brings_it(here: Here, tmp_path: Path) -> None:
    hidden = tmp_path / "hidden" / "kubernetes_asyncio"
    hidden.mkdir(parents=True)
    said = "raise ModuleNotFoundError(\"No module named 'kubernetes_asyncio'\", name='kubernetes_asyncio')\n"
    (hidden / "__init__.py").write_text(said)
    done = here.run("flows.py:hello", PYTHONPATH=str(hidden.parent))
    assert done.returncode != 0
    assert "penstock[kubernetes]" in done.stderr
    assert done.stderr.count("error:") == 1


def test_a_server_that_no_pod_reaches_is_told_before_anything_is_asked_for(here: Here, tmp_path: Path) -> None:
    local = {key: value for key, value in here.project.env.items() if "API" not in key}
    here.project.env = {**local, "PENSTOCK_HOME": str(tmp_path / "home"), "PENSTOCK_EPHEMERAL_IDLE_SECONDS": "1"}
    done = here.run("flows.py:hello")
    assert done.returncode == 2, done
    assert "127.0.0.1" in done.stderr
    assert "means the job itself" in done.stderr
    assert "PENSTOCK_API_URL" in done.stderr
    assert done.stderr.count("error:") == 1
