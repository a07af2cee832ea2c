"""Deployed flows whose tasks run on a Dask cluster: workers speak with the attempt's token, and go when the run goes."""

import logging
import os
import signal
from typing import TYPE_CHECKING

import psutil
import pytest

from penstock.model.states import StateType
from penstock.testing import wait_until

if TYPE_CHECKING:
    from tests.journey.conftest import World

if os.environ.get("CI", "").lower() not in ("1", "true"):
    pytest.importorskip("distributed", reason="Dask is not installed: pip install 'penstock[dask]'")

RUNNER = """
    from penstock.task_runners import DaskTaskRunner

    def shout(text):
        return text.upper()

    runner = DaskTaskRunner(cluster_kwargs={"n_workers": 1, "threads_per_worker": 2, "dashboard_address": ":0"})
"""


def test_a_deployed_flow_makes_its_cluster_and_the_lines_of_workers_arrive(world: "World") -> None:
    world.agent("-q", "queue")
    deployment = world.deploy(
        RUNNER
        + """
    @task(log_prints=True)
    def greet(name):
        print(shout(name))
        mark("worker")
        return os.getppid()

    @flow(task_runner=runner)
    def main():
        mark("flow")
        assert greet.submit("ada").result() != os.getppid()
    """
    )
    run = world.run(deployment)
    world.wait_for(run, StateType.COMPLETED)
    assert "ADA" in world.logs(run)
    assert world.marked("worker") != world.marked("flow")
    world.ended(run)
    wait_until(lambda: not psutil.pid_exists(int(world.marked("worker")[0])), 120, "the worker is gone")


def test_a_cancelled_deployed_flow_takes_its_workers_along(world: "World") -> None:
    world.agent("-q", "queue")
    deployment = world.deploy(
        RUNNER
        + """
    @task
    def stay():
        mark("begun")
        wait_for("never-comes")

    @flow(task_runner=runner)
    def main():
        stay.submit().wait()
    """
    )
    run = world.run(deployment)
    world.wait_for_mark("begun")
    world.cancel(run)
    world.wait_for(run, StateType.CANCELLED)
    assert not psutil.pid_exists(int(world.marked("begun")[0]))
    (task_run,) = world.client.read_task_runs(flow_run_filter={"id": {"any_": [str(run.id)]}})
    assert task_run.state_type is StateType.CANCELLED


def test_tasks_on_a_cluster_of_its_own_stop_when_their_flow_is_gone(world: "World") -> None:
    from distributed import LocalCluster

    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    world.agent("-q", "queue")
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as cluster:
        deployment = world.deploy(
            f"""
    from penstock.task_runners import DaskTaskRunner

    @task
    def stay():
        try:
            mark("begun")
            wait_for("never-comes")
        finally:
            mark("stopped")

    @flow(task_runner=DaskTaskRunner(address={cluster.scheduler_address!r}))
    def main():
        mark("flow")
        stay.submit()
        stay.submit().wait()
    """
        )
        run = world.run(deployment)
        world.wait_for_mark("begun")
        os.kill(int(world.marked("flow")[0]), signal.SIGKILL)
        world.wait_for(run, StateType.CRASHED)
        wait_until(lambda: world.marked("stopped"), 120, "the task is stopped")
        assert len(world.marked("begun")) == 1
