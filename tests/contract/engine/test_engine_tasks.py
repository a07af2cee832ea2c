"""What calling, submitting and mapping tasks does, in the program and on the server."""

import gc
import random
import threading
import time
import weakref

import pytest

from penstock import flow, tags, task, unmapped
from penstock.context import get_run_context
from penstock.model.reasons import Reason
from penstock.task_runners import ConcurrentTaskRunner, SequentialTaskRunner
from penstock.testing import wait_until


@task
def identity(value):
    return value


@task
def fail(*_):
    raise ValueError("no")


def test_a_task_run_tells_its_whole_story(accounts):
    @task(tags=["a"], version="2", task_run_name="sum of {x}")
    def summing(x, y=1):
        return x + y

    @flow
    def tasks_story():
        with tags("b"):
            return summing(identity.submit(2))

    assert tasks_story() == 3
    found = accounts.task_runs(accounts.flow_run(tasks_story))
    run = found["sum of 2"]
    assert accounts.task_states(run) == ["Pending", "Running", "Completed"]
    assert (run.tags, run.task_version, run.run_count, run.dynamic_key) == (["a", "b"], "2", 1, "0")
    assert run.task_inputs["x"][0].id == found["identity-0"].id
    assert run.start_time <= run.end_time
    assert run.total_run_time > 0


def test_calls_of_one_task_are_told_apart(accounts):
    @flow
    def repeating():
        return [identity(n) for n in range(3)]

    assert repeating() == [0, 1, 2]
    assert list(accounts.task_runs(accounts.flow_run(repeating))) == ["identity-0", "identity-1", "identity-2"]


def test_a_failing_task_is_tried_again_and_every_try_is_kept(accounts):
    times = []

    @task(retries=2, retry_delay_seconds=[0.01, 0.02])
    def flaky():
        times.append(get_run_context().run_count)
        if len(times) < 3:
            raise ValueError("not yet")
        return "done"

    @flow
    def trying():
        return flaky()

    assert trying() == "done"
    (run,) = accounts.task_runs(accounts.flow_run(trying)).values()
    assert accounts.task_states(run) == [
        "Pending", "Running", "AwaitingRetry", "Retrying", "AwaitingRetry", "Retrying", "Completed"
    ]  # fmt: skip
    assert (times, run.run_count) == ([1, 2, 3], 3)
    assert (run.empirical_policy.retries, run.empirical_policy.retry_delay) == (2, [0.01, 0.02])


def test_a_task_that_takes_too_long_fails_as_timed_out(accounts):
    @task(timeout_seconds=0.1)
    def slow():
        while True:
            time.sleep(0.01)

    @flow
    def timing():
        return [slow(return_state=True).name, slow.submit().wait().name]

    assert timing() == ["TimedOut", "TimedOut"]
    run = next(iter(accounts.task_runs(accounts.flow_run(timing)).values()))
    assert run.state.state_details.reason is Reason.TASK_TIMED_OUT


def test_what_depends_on_a_failed_task_is_not_run_and_says_so(accounts):
    @flow
    def broken_chain():
        first = fail.submit()
        second = identity.submit(first)
        third = identity.submit(1, wait_for=[second])
        return [f.wait().name for f in (first, second, third)]

    assert broken_chain() == ["Failed", "UpstreamFailed", "UpstreamFailed"]
    found = accounts.task_runs(accounts.flow_run(broken_chain))
    assert found["identity-0"].run_count == 0
    assert "fail-0" in found["identity-0"].state.message


def test_mapping_runs_one_task_for_each_element(accounts):
    @task
    def combine(a, b, c=0):
        return (a, b, c)

    @flow
    def mapping():
        numbers = identity.submit([1, 2])
        return [f.result() for f in combine.map(numbers, b=unmapped([9]), c=(5, 6))]

    assert mapping() == [(1, [9], 5), (2, [9], 6)]


def test_futures_can_be_asked_and_waited_for(accounts):
    begun, release = threading.Event(), threading.Event()

    @task
    def waiting():
        begun.set()
        release.wait(120)
        return 1

    @flow
    def asking():
        future = waiting.submit()
        assert future.wait(0.01) is None
        with pytest.raises(TimeoutError):
            future.result(timeout=0.01)
        assert begun.wait(120)
        assert future.get_state().name == "Running"
        release.set()
        return future.result(timeout=120), future.wait().name, future.get_state().name

    assert asking() == (1, "Completed", "Completed")


def test_the_flow_waits_for_everything_it_has_submitted(accounts):
    done = []

    @task
    def late():
        time.sleep(0.1)
        done.append(1)

    @flow
    def hasty():
        for _ in range(3):
            late.submit()

    hasty()
    assert len(done) == 3
    assert {r.state_name for r in accounts.task_runs(accounts.flow_run(hasty)).values()} == {"Completed"}


def test_long_chains_need_only_one_thread(accounts):
    @flow(task_runner=ConcurrentTaskRunner(max_workers=1), timeout_seconds=200)
    def chain():
        # the last one is submitted first to wait: none may hold the only thread while it waits
        future = identity.submit(1)
        for _ in range(200):
            future = identity.submit(future)
        return future.result()

    assert chain() == 1


def test_no_more_threads_are_used_than_allowed(accounts):
    running, most = [], [0]
    lock = threading.Lock()

    @task
    def counted():
        with lock:
            running.append(1)
            most.append(len(running))
        wait_until(lambda: max(most) > 1, 120, "two tasks run side by side")
        time.sleep(0.01)
        with lock:
            running.pop()

    @flow(task_runner=ConcurrentTaskRunner(max_workers=3))
    def bounded():
        for _ in range(20):
            counted.submit()

    bounded()
    assert 1 < max(most) <= 3


def test_the_sequential_runner_keeps_the_order_of_the_submits(accounts):
    order = []

    @task
    def note(n):
        order.append((n, threading.get_ident()))

    @flow(task_runner=SequentialTaskRunner)
    def in_order():
        first = note.submit(0)
        for n in range(1, 10):
            note.submit(n, wait_for=[first])

    in_order()
    assert order == [(n, threading.get_ident()) for n in range(10)]


def test_results_that_nobody_holds_are_let_go(accounts):
    class Heavy:
        pass

    seen = []

    @task
    def make():
        heavy = Heavy()
        seen.append(weakref.ref(heavy))
        return heavy

    @flow
    def letting_go():
        for _ in range(5):
            make()
            make.submit().wait()
        gc.collect()
        # a thread that has just told of its end may still have the last one at hand
        wait_until(lambda: sum(ref() is not None for ref in seen) <= 1, 60, "the results are let go")
        return len(seen)

    assert letting_go() == 10


def test_five_thousand_task_runs_are_all_accounted_for(accounts):
    @flow
    def many():
        for n in range(2500):
            identity(n)
            identity.submit(n)

    many()
    run = accounts.flow_run(many)
    only = {"id": {"any_": [str(run.id)]}}
    completed = {"state": {"type": {"any_": ["COMPLETED"]}}}
    assert accounts.client.count_task_runs(flow_run_filter=only, task_run_filter=completed) == 5000


def test_chance_that_user_code_has_seeded_is_left_alone(accounts):
    @task(retries=2, retry_jitter_factor=1, retry_delay_seconds=0.001)
    def failing():
        raise ValueError

    @flow
    def seeded():
        random.seed(7)
        failing(return_state=True)
        return random.random()

    assert seeded() == random.Random(7).random()


def test_a_task_that_cannot_be_named_after_its_argument_fails_and_says_why(accounts):
    class Unspeakable:
        def __format__(self, how):
            raise RuntimeError("no words")

    @task(task_run_name="about {topic}")
    def telling(topic):
        return 1

    @flow
    def trying_to_tell():
        return telling(Unspeakable(), return_state=True).message

    told = "ConfigurationError: task_run_name 'about {topic}' cannot be filled in: no words"
    assert trying_to_tell() == told
    assert accounts.task_runs(accounts.flow_run(trying_to_tell))["telling-0"].state.message == told


def test_a_fault_of_the_engine_itself_leaves_no_task_run_running(accounts):
    class Misleading(Exception):
        @property
        def hint(self):
            raise ZeroDivisionError("a fault")

    @task
    def misled():
        raise Misleading

    @flow
    def misled_in_two_ways():
        with pytest.raises(ZeroDivisionError):
            misled()
        return misled.submit().wait().name

    assert misled_in_two_ways() == "Crashed"
    found = accounts.task_runs(accounts.flow_run(misled_in_two_ways))
    assert {run.state.message for run in found.values()} == {"Stopped while it ran: ZeroDivisionError: a fault"}
    assert len(found) == 2
