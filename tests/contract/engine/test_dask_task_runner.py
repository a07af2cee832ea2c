"""Tasks on a real Dask cluster of several processes: everything that is told of them is as if they ran at home."""

import asyncio
import logging
import os
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import dataclass

import pytest
from runs_on_workers import RunsOnWorkers, add, endless
from time_is_up import time_is_up

from penstock import allow_failure, flow, get_run_logger, runtime, tags, task
from penstock.context import get_run_context
from penstock.errors import ConfigurationError, RunFailed, SerializationError
from penstock.model.reasons import Reason
from penstock.states import Failed
from penstock.task_runners import DaskTaskRunner
from penstock.testing import wait_until

if os.environ.get("CI", "").lower() not in ("1", "true"):
    pytest.importorskip("distributed", reason="Dask is not installed: pip install 'penstock[dask]'")


@pytest.fixture(scope="module")
def cluster(accounts):
    from distributed import LocalCluster

    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # it tells at length of workers that tests kill
    with LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address=":0") as running:
        # The cluster's owner decides how often Dask runs again what was on a worker that died.
        running.scheduler.allowed_failures = 0
        yield running


@pytest.fixture(scope="module")
def runner(cluster):
    return DaskTaskRunner(address=cluster.scheduler_address)


@task
def where():
    return os.getpid()


def test_tasks_run_in_other_processes_and_are_accounted_for_at_home(accounts, runner):
    @flow(task_runner=runner)
    def elsewhere():
        first = add.submit(1, y=1)
        second = add.submit(first, y=10, wait_for=[where.submit()])
        return second.result(), {future.result() for future in [where.submit() for _ in range(4)]}

    total, processes = elsewhere()
    assert total == 12
    assert os.getpid() not in processes
    found = accounts.task_runs(accounts.flow_run(elsewhere))
    assert {accounts.flow_run(elsewhere).state_name, *(run.state_name for run in found.values())} == {"Completed"}
    assert accounts.task_states(found["add-1"]) == ["Pending", "Running", "Completed"]
    assert found["add-1"].task_inputs["x"][0].id == found["add-0"].id


def test_a_failing_task_is_tried_again(accounts, runner):
    @task(retries=2, retry_delay_seconds=0.05)
    def flaky():
        if get_run_context().run_count < 3:
            raise ValueError("not yet")
        return "done"

    @flow(task_runner=runner)
    def trying():
        return flaky.submit().result()

    assert trying() == "done"
    (run,) = accounts.task_runs(accounts.flow_run(trying)).values()
    assert accounts.task_states(run) == [
        "Pending", "Running", "AwaitingRetry", "Retrying", "AwaitingRetry", "Retrying", "Completed"
    ]  # fmt: skip


def test_log_lines_and_prints_of_workers_reach_the_server_before_the_flow_has_ended(accounts, runner):
    @task(log_prints=True)
    def talking(n):
        print("printed", n)
        get_run_logger().warning("logged %s", n)

    @flow(task_runner=runner)
    def listening():
        return [future.state or future.wait() for future in talking.map(range(20))]

    listening()
    run = accounts.flow_run(listening)
    lines = {line.message: line for line in accounts.logs(run)}
    assert {f"{verb} {n}" for verb in ("printed", "logged") for n in range(20)} <= set(lines)
    ids = {task_run.id for task_run in accounts.task_runs(run).values()}
    assert {lines[f"logged {n}"].task_run_id for n in range(20)} == ids
    assert lines["logged 3"].level == logging.WARNING


def test_a_task_finds_its_run_around_it(accounts, runner):
    @task(tags=["own"], task_run_name="looking at {what}")
    def looking(what, *, times=3):
        context = get_run_context()
        return {
            "task run": (runtime.task_run.name, runtime.task_run.tags, runtime.task_run.task_name),
            "flow run": (runtime.flow_run.id, runtime.flow_run.flow_name, runtime.flow_run.parameters),
            "parameters": (context.parameters, runtime.task_run.parameters),
            "ids": (str(context.task_run.id), runtime.task_run.id),
            "tags": sorted(context.task_run.tags),
        }

    @flow(task_runner=runner)
    def surrounding(size=2):
        with tags("around"):
            return looking.submit("it").result()

    seen = surrounding()
    run = accounts.flow_run(surrounding)
    found = accounts.task_runs(run)["looking at it"]
    assert seen["task run"][0] == "looking at it"
    assert seen["task run"][2] == "looking"
    assert seen["flow run"] == (str(run.id), "surrounding", {"size": 2})
    assert seen["parameters"] == ({"what": "it", "times": 3},) * 2
    assert seen["ids"] == (str(found.id),) * 2
    assert seen["tags"] == found.tags == ["around", "own"]


def deep_inside(text):
    raise LookupError(text)


def test_exceptions_come_back_with_the_traceback_of_the_worker(accounts, runner):
    @task
    def failing():
        deep_inside("what was sought")

    @flow(task_runner=runner)
    def seeing():
        failing.submit().result()

    with pytest.raises(LookupError, match="what was sought") as caught:
        seeing()
    assert "in deep_inside" in str(caught.value.__cause__)
    run = accounts.flow_run(seeing)
    assert run.state_name == "Failed"
    told = next(text for text in accounts.messages(run) if text.startswith("The task raised"))
    assert "in deep_inside" in told
    assert "remote_runners.py" not in told


def test_states_that_tasks_return_are_their_ends(accounts, runner):
    @task
    def refusing():
        return Failed(message="too few rows")

    @flow(task_runner=runner)
    def judged():
        return refusing.submit(return_state=True)

    assert judged(return_state=True).message == "too few rows"


def test_tasks_that_take_too_long_fail_as_timed_out_on_their_worker(accounts, runner):
    @task(timeout_seconds=0.2)
    def spinning():
        while True:
            time.sleep(0.01)

    @task(timeout_seconds=0.2)
    async def sleeping():
        await asyncio.sleep(30)

    @flow(task_runner=runner)
    def limited():
        return [future.wait().name for future in [spinning.submit(), sleeping.submit()]]

    assert limited() == ["TimedOut", "TimedOut"]
    for run in accounts.task_runs(accounts.flow_run(limited)).values():
        assert run.state.state_details.reason is Reason.TASK_TIMED_OUT


@task
async def nap(n):
    await asyncio.sleep(0.01)
    return n


def test_asynchronous_tasks_run_from_either_kind_of_flow(accounts, runner):
    @flow(task_runner=runner)
    def from_synchronous():
        return [future.result() for future in nap.map(range(8))]

    @flow(task_runner=runner)
    async def from_asynchronous():
        first = await nap.submit(1)
        return [await first.result(), *[await future.result() for future in nap.map(range(8))]]

    assert from_synchronous() == list(range(8))
    assert asyncio.run(from_asynchronous()) == [1, *range(8)]


def test_dependencies_hold_as_at_home(accounts, runner):
    @task
    def failing():
        raise ValueError("no")

    @task
    def told(error):
        return f"got {error}"

    @flow(task_runner=runner)
    def depending():
        bad = failing.submit()
        return [
            told.submit(bad).wait().name,
            add.submit(1, wait_for=[bad]).wait().name,
            told.submit(allow_failure(bad)).result(),
        ]

    assert depending() == ["UpstreamFailed", "UpstreamFailed", "got no"]


def test_limits_of_tags_hold_across_workers(accounts, runner, tmp_path):
    accounts.client.create_concurrency_limit("one at a time", 1)

    @task(tags=["one at a time"])
    def alone(folder):
        inside = folder / "inside"
        inside.mkdir()  # fails if another one is there
        time.sleep(0.02)
        inside.rmdir()

    @flow(task_runner=runner)
    def queueing():
        return [future.wait().name for future in [alone.submit(tmp_path) for _ in range(8)]]

    assert queueing() == ["Completed"] * 8


def test_what_cannot_travel_is_named(accounts, runner):
    @task
    def taking(first, lock):
        return first

    @task
    def giving():
        return {"rows": 3, "lock": threading.Lock()}

    class Picky(Exception):
        def __init__(self, code, text):
            super().__init__(text)

    @task
    def raising():
        raise Picky(3, "too picky")

    @flow(task_runner=runner)
    def sending():
        futures = [taking.submit(1, {"a": [threading.Lock()]}), giving.submit(), raising.submit()]
        return [future.result(raise_on_failure=False) for future in futures]

    argument, result, exception = sending()
    assert isinstance(argument, SerializationError)
    assert "Argument lock['a'][0] of task 'taking', of type _thread.lock, cannot be sent to a worker" in str(argument)
    assert isinstance(result, SerializationError)
    assert "result['lock'], of type _thread.lock, cannot be sent back" in str(result)
    assert isinstance(exception, RunFailed)
    assert "Picky: too picky" in str(exception)


def test_tasks_called_by_tasks_run_on_the_same_worker_and_are_accounted_for(accounts, runner):
    @task
    def part(n):
        return os.getpid(), n

    @task
    def whole():
        return [os.getpid()], part(1), [future.result() for future in part.map([2, 3])]

    @flow(task_runner=runner)
    def nesting():
        return [future.result() for future in [whole.submit(), whole.submit()]]

    for (process,), direct, mapped in nesting():
        assert [direct, *mapped] == [(process, 1), (process, 2), (process, 3)]
    found = accounts.task_runs(accounts.flow_run(nesting))
    assert len(found) == 8
    assert {run.state_name for run in found.values()} == {"Completed"}
    assert len({(run.task_key, run.dynamic_key) for run in found.values()}) == 8


class TestAsOnAnyCluster(RunsOnWorkers):
    LOST = "KilledWorker"


def test_a_flow_that_is_over_time_stops_what_runs_on_workers(accounts, runner, tmp_path):
    witness = tmp_path / "task"

    @flow(task_runner=runner, timeout_seconds=200)
    def too_long():
        endless.submit(witness)
        wait_until(witness.with_suffix(".begun").exists, 120, "the task did not begin")
        time_is_up()
        while True:
            time.sleep(0.01)

    assert too_long(return_state=True).name == "TimedOut"
    wait_until(witness.with_suffix(".stopped").exists, 120, "the task went on")
    (run,) = accounts.task_runs(accounts.flow_run(too_long)).values()
    assert run.state_name == "Crashed"


def test_a_script_travels_with_the_files_beside_it(accounts, cluster, tmp_path):
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "helping.py").write_text("class Basket:\n    def __init__(self, n):\n        self.n = n\n")
    (folder / "script.py").write_text(
        textwrap.dedent(
            """
            import sys
            from helping import Basket
            from penstock import flow, task
            from penstock.task_runners import DaskTaskRunner

            @task
            def fill(basket):
                return Basket(basket.n + 1)

            @flow(task_runner=DaskTaskRunner(address=sys.argv[1]))
            def shopping():
                basket = fill.submit(fill.submit(Basket(1))).result()
                assert isinstance(basket, Basket)
                return basket.n

            if __name__ == "__main__":
                print("bought", shopping())
            """
        )
    )
    command = [sys.executable, str(folder / "script.py"), cluster.scheduler_address]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert "bought 3" in ended.stdout, ended.stderr


def test_a_cluster_made_for_the_run_ends_with_it(accounts, monkeypatch, caplog):
    import psutil

    monkeypatch.setitem(sys.modules, "bokeh", None)  # which draws the report

    @flow(
        task_runner=DaskTaskRunner(
            cluster_class="distributed.LocalCluster",
            cluster_kwargs={"n_workers": 1, "threads_per_worker": 1, "dashboard_address": ":0"},
            adapt_kwargs={"minimum": 1, "maximum": 1},
            client_kwargs={"name": "mine"},
            performance_report_path="report.html",
        )
    )
    def temporary():
        return where.submit().result()

    process = temporary()
    assert process != os.getpid()
    wait_until(lambda: not psutil.pid_exists(process), 120, "the worker is still there")
    assert "Dask wrote no performance report: ModuleNotFoundError" in caplog.text


def test_annotations_of_dask_say_which_worker_it_is(accounts, cluster, runner):
    import dask

    # one that was killed before comes back in its own time
    address = wait_until(lambda: min(cluster.scheduler.workers, default=""), 120, "a worker is there")

    @task
    def which():
        from distributed import get_worker

        return get_worker().address

    @flow(task_runner=runner)
    def choosing():
        with dask.annotate(workers=[address]):
            futures = [which.submit() for _ in range(6)]
        return {future.result() for future in futures}

    assert choosing() == {address}


def test_workers_that_cannot_reach_the_server_are_told_of_and_run_all_the_same(accounts):
    from distributed import LocalCluster

    @task
    def talking(n):
        get_run_logger().info("nobody hears %s", n)
        return n

    nowhere = {"PENSTOCK_API_URL": "http://127.0.0.1:9/api"}
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0", env=nowhere) as cluster:

        @flow(task_runner=DaskTaskRunner(cluster=cluster))
        def unheard():
            return [future.result() for future in talking.map(range(5))]

        assert unheard() == list(range(5))
    told = [text for text in accounts.messages(accounts.flow_run(unheard)) if "Log lines of a worker" in text]
    assert len(told) == 1
    assert "http://127.0.0.1:9" in told[0]


@dataclass
class Holder:
    value: int


def test_classes_of_the_script_are_the_same_when_they_come_back(accounts, runner):
    @task
    def hold(holder):
        assert isinstance(holder, Holder)
        return Holder(holder.value + 1)

    @flow(task_runner=runner)
    def holding():
        return hold.submit(Holder(1)).result()

    assert holding() == Holder(2)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"address": "tcp://a:1", "cluster_class": "x.Y"}, "address and cluster_class"),
        ({"address": "tcp://a:1", "adapt_kwargs": {}}, "address and adapt_kwargs"),
        ({"cluster": object(), "cluster_kwargs": {}}, "cluster and cluster_kwargs"),
    ],
)
def test_options_that_exclude_each_other_are_refused(options, named):
    with pytest.raises(ConfigurationError, match=named):
        DaskTaskRunner(**options)


def test_what_is_missing_or_wrong_is_told_where_a_task_is_submitted(accounts, monkeypatch):
    @flow(task_runner=DaskTaskRunner(cluster_class="distributed.Nothing"))
    def wrong_class():
        where.submit()

    with pytest.raises(ConfigurationError, match=r"distributed\.Nothing"):
        wrong_class()
    monkeypatch.setitem(sys.modules, "distributed", None)

    @flow(task_runner=DaskTaskRunner())
    def missing():
        where.submit()

    with pytest.raises(ConfigurationError) as caught:
        missing()
    assert caught.value.hint == "pip install 'penstock[dask]'"
