"""What every remote runner has in common, on one whose cluster is this very process and runs calls when a test says so."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from time_is_up import time_is_up

from penstock import flow, task
from penstock.engine.remote import run_call
from penstock.engine.remote_runners import RemoteTaskRunner
from penstock.errors import PenstockError
from penstock.testing import wait_until


class HeldTaskRunner(RemoteTaskRunner):
    """Keeps what is sent; `release` runs it. All duplicates share one place."""

    def __init__(self, place=None):
        super().__init__()
        self.place = place if place is not None else {"sent": {}, "withdrawn": [], "connected": 0}

    def duplicate(self):
        return type(self)(self.place)

    def connect(self):
        self.place["connected"] += 1

    def send(self, call_id, task_name, payload):
        future = Future()
        self.place["sent"][call_id] = (payload, future)
        return future

    def withdraw(self, call_ids):
        self.place["withdrawn"] += call_ids

    def disconnect(self):
        self.place["connected"] -= 1

    def release(self):
        sent, self.place["sent"] = self.place["sent"], {}
        with ThreadPoolExecutor(4) as pool:
            for payload, future in sent.values():
                pool.submit(lambda payload, future: future.set_result(run_call(payload)), payload, future)


@task
def double(n):
    return 2 * n


def test_task_runs_that_are_away_or_wait_for_a_retry_take_no_threads(accounts):
    runner = HeldTaskRunner()
    tried = set()

    @task(retries=1, retry_delay_seconds=0.5)
    def shy(n):
        if n not in tried:
            tried.add(n)
            raise ValueError("not at once")
        return n

    @flow(task_runner=runner)
    def crowded():
        before = threading.active_count()
        futures = [*double.map(range(1000)), *shy.map(range(200))]
        wait_until(lambda: len(runner.place["sent"]) == 1200, 120)
        away = threading.active_count()
        runner.release()
        wait_until(lambda: len(runner.place["sent"]) == 200, 120)
        runner.release()
        return sum(future.result(timeout=240) for future in futures), away - before

    total, threads = crowded()
    assert total == sum(range(0, 2000, 2)) + sum(range(200))
    assert threads < 30
    assert runner.place["connected"] == 0


def test_what_is_lost_on_the_way_ends_as_crashed_in_the_words_of_the_platform(accounts):
    runner = HeldTaskRunner()

    @flow(task_runner=runner)
    def losing():
        future = double.submit(1)
        wait_until(lambda: runner.place["sent"], 60)
        ((_, away),) = runner.place["sent"].values()
        away.set_exception(ConnectionError("scheduler tcp://10.0.0.7:8786 is closed"))
        return future.wait(timeout=60)

    state = losing(return_state=True)
    assert state.name == "Crashed"
    assert "scheduler tcp://10.0.0.7:8786 is closed" in state.message


def test_what_nobody_waits_for_any_more_is_withdrawn(accounts):
    runner = HeldTaskRunner()

    @flow(task_runner=runner, timeout_seconds=200)
    def hasty():
        future = double.submit(1)
        wait_until(lambda: runner.place["sent"], 60)
        time_is_up()
        future.wait()

    assert hasty(return_state=True).name == "TimedOut"
    assert runner.place["withdrawn"] == list(runner.place["sent"])
    (run,) = accounts.task_runs(accounts.flow_run(hasty)).values()
    assert run.state_name == "Crashed"


def test_a_cluster_that_cannot_be_reached_fails_the_flow_and_leaves_no_task_run(accounts):
    class Unreachable(HeldTaskRunner):
        def connect(self):
            raise PenstockError("nobody is there")

    @flow(task_runner=Unreachable())
    def alone():
        double.submit(1)

    with pytest.raises(PenstockError, match="nobody is there"):
        alone()
    assert accounts.task_runs(accounts.flow_run(alone)) == {}


def test_a_worker_with_another_version_says_so(accounts, monkeypatch):
    runner = HeldTaskRunner()

    @flow(task_runner=runner)
    def mismatched():
        future = double.submit(1)
        wait_until(lambda: runner.place["sent"], 60)
        monkeypatch.setattr("penstock.engine.remote_calls.__version__", "99.0")
        runner.release()
        return future.result(raise_on_failure=False, timeout=60)

    assert "this worker has 99.0" in str(mismatched())
