"""Tasks on a real Ray instance of this machine."""

import asyncio
import os
import sys
import threading
import time

import pytest
from runs_on_workers import RunsOnWorkers, add

from penstock import allow_failure, flow, get_run_logger, runtime, task
from penstock.context import get_run_context
from penstock.errors import ConfigurationError, SerializationError
from penstock.task_runners import RayTaskRunner, remote_options

if os.environ.get("CI", "").lower() not in ("1", "true"):
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'penstock[ray]'")

QUIET = {"num_cpus": 2, "include_dashboard": False, "log_to_driver": False, "configure_logging": False}


@pytest.fixture(scope="module")
def runner(accounts):
    import ray

    with pytest.MonkeyPatch.context() as patch:
        # ray.init, called by the program itself, leaves this behind for every process started later.
        patch.setenv("PYTHONBREAKPOINT", "")
        ray.init(**QUIET, resources={"shelf": 1})
        try:
            yield RayTaskRunner()
        finally:
            ray.shutdown()


def test_tasks_run_in_other_processes_and_find_their_run_around_them(accounts, runner):
    @task(log_prints=True)
    def looking(n):
        print("printed", n)
        get_run_logger().warning("logged %s", n)
        return os.getpid(), runtime.task_run.name, runtime.flow_run.flow_name

    @flow(task_runner=runner)
    def elsewhere():
        return add.submit(add.submit(1), y=10).result(), [future.result() for future in looking.map(range(4))]

    total, seen = elsewhere()
    assert total == 11
    assert {name for _, name, _ in seen} == {f"looking-{n}" for n in range(4)}
    assert {flow_name for _, _, flow_name in seen} == {"elsewhere"}
    assert os.getpid() not in {process for process, _, _ in seen}
    run = accounts.flow_run(elsewhere)
    found = accounts.task_runs(run)
    assert accounts.task_states(found["add-1"]) == ["Pending", "Running", "Completed"]
    lines = {line.message: line for line in accounts.logs(run)}
    assert {f"{verb} {n}" for verb in ("printed", "logged") for n in range(4)} <= set(lines)
    assert lines["logged 2"].task_run_id == found["looking-2"].id


def test_failures_retries_timeouts_and_dependencies_are_as_at_home(accounts, runner):
    @task(retries=1)
    def flaky():
        if get_run_context().run_count == 1:
            raise ValueError("not yet")
        return "done"

    @task
    def failing():
        raise LookupError("no")

    @task(timeout_seconds=0.2)
    def slow():
        time.sleep(30)

    @task
    def told(error):
        return f"got {error}"

    @flow(task_runner=runner)
    def mixed():
        bad = failing.submit()
        return [
            flaky.submit().result(),
            bad.result(raise_on_failure=False),
            add.submit(bad).wait().name,
            told.submit(allow_failure(bad)).result(),
            slow.submit().wait().name,
        ]

    flaked, error, upstream, told_of, timed_out = mixed()
    assert (flaked, upstream, told_of, timed_out) == ("done", "UpstreamFailed", "got no", "TimedOut")
    assert isinstance(error, LookupError)
    assert "in failing" in str(error.__cause__)
    states = accounts.task_states(accounts.task_runs(accounts.flow_run(mixed))["flaky-0"])
    assert states == ["Pending", "Running", "AwaitingRetry", "Retrying", "Completed"]


def test_asynchronous_tasks_and_tasks_of_tasks(accounts, runner):
    @task
    async def nap(n):
        await asyncio.sleep(0.01)
        return n

    @task
    def whole():
        return [future.result() for future in add.map([1, 2])]

    @flow(task_runner=runner)
    async def asynchronous():
        napped = [await future.result() for future in nap.map(range(4))]
        return napped, whole.submit().result()

    assert asyncio.run(asynchronous()) == ([0, 1, 2, 3], [1, 2])
    found = accounts.task_runs(accounts.flow_run(asynchronous))
    assert len(found) == 7
    assert {run.state_name for run in found.values()} == {"Completed"}


class TestAsOnAnyCluster(RunsOnWorkers):
    LOST = "WorkerCrashedError"


def test_a_result_that_cannot_be_sent_back_is_named(accounts, runner):
    @task
    def giving():
        return threading.Lock()

    @flow(task_runner=runner)
    def keeping():
        return giving.submit().result(raise_on_failure=False)

    refused = keeping()
    assert isinstance(refused, SerializationError)
    assert "The result of task 'giving', a _thread.lock, cannot be sent back" in str(refused)


def test_options_of_ray_hold_for_the_tasks_submitted_within(accounts, runner):
    @task
    def resources():
        import ray

        return ray.get_runtime_context().get_assigned_resources()

    @flow(task_runner=runner)
    def choosing():
        with remote_options(num_cpus=0, resources={"shelf": 1}):
            special = resources.submit()
        return special.result(), resources.submit().result()

    assert choosing() == ({"shelf": 1.0}, {"CPU": 1.0})


def test_an_instance_made_for_the_run_ends_with_it(accounts):
    import ray

    if ray.is_initialized():
        ray.shutdown()

    breakpoints = os.environ.get("PYTHONBREAKPOINT")

    @flow(task_runner=RayTaskRunner(init_kwargs=QUIET))
    def temporary():
        return add.submit(1, y=1).result(), ray.is_initialized(), os.environ.get("PYTHONBREAKPOINT")

    assert temporary() == (2, True, breakpoints)
    assert not ray.is_initialized()


def test_what_is_missing_is_told_where_a_task_is_submitted(accounts, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)

    @flow(task_runner=RayTaskRunner())
    def missing():
        add.submit(1)

    with pytest.raises(ConfigurationError) as caught:
        missing()
    assert caught.value.hint == "pip install 'penstock[ray]'"
