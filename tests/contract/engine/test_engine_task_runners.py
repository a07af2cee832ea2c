"""How the threads of the concurrent runner, and the coroutines beside them, are shared out."""

import asyncio
import contextvars
import threading
import time

import pytest
from time_is_up import time_is_up

from penstock import flow, task
from penstock.engine import flow_runs
from penstock.engine.deadlines import Timeout
from penstock.task_runners import (
    BaseTaskRunner,
    ConcurrentTaskRunner,
    SequentialTaskRunner,
    TaskConcurrencyType,
)


@task
def fibonacci(n):
    """Each call waits for two further ones, so as many wait at once as the pool has threads, many times over."""
    if n < 2:
        return n
    first, second = fibonacci.submit(n - 1), fibonacci.submit(n - 2)
    return first.result() + second.result()


@pytest.mark.parametrize("workers", [1, 2])
def test_tasks_that_wait_for_their_own_tasks_do_not_use_up_the_threads(accounts, workers):
    @flow(task_runner=ConcurrentTaskRunner(max_workers=workers))
    def waiting_deeply():
        return fibonacci.submit(9).result(timeout=240)

    assert waiting_deeply() == 34


class Gauge:
    """How many are inside at once, and how many were at most."""

    def __init__(self):
        self.now = self.most = 0
        self._lock = threading.Lock()

    def __enter__(self):
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)

    def __exit__(self, *_):
        with self._lock:
            self.now -= 1

    async def filled(self, most):
        """Wait until as many have been inside at once, which they may be; those that must not be would wait in vain."""
        async with asyncio.timeout(120):
            while self.most < most:
                await asyncio.sleep(0.01)


def test_threads_that_wait_are_stood_in_for_and_leave_when_they_are_too_many(accounts):
    gauge = Gauge()
    release = threading.Event()

    @task
    def inner():
        with gauge:
            release.wait(120)
            time.sleep(0.01)

    @task
    def outer():
        future = inner.submit()
        release.set()
        return future.result()

    @flow(task_runner=ConcurrentTaskRunner(max_workers=2))
    def standing_in():
        return [future.result(timeout=240) for future in [outer.submit() for _ in range(20)]]

    assert standing_in() == [None] * 20
    assert gauge.most <= 2


def test_asynchronous_tasks_take_slots_only_if_there_is_a_limit(accounts):
    gauge = Gauge()

    @task
    async def inside(n, together):
        with gauge:
            await gauge.filled(together)
            await asyncio.sleep(0.02)
        return n

    @flow(task_runner=ConcurrentTaskRunner(max_workers=3))
    async def limited():
        return [await future.result() for future in inside.map(range(12), 3)]

    @flow
    async def unlimited():
        return [await future.result() for future in inside.map(range(200), 200)]

    @flow(task_runner=ConcurrentTaskRunner(max_workers=3))
    def limited_from_synchronous():
        return [future.result() for future in inside.map(range(12), 3)]

    assert asyncio.run(limited()) == list(range(12))
    assert gauge.most == 3
    gauge.most = 0
    assert limited_from_synchronous() == list(range(12))
    assert gauge.most == 3
    assert asyncio.run(unlimited()) == list(range(200))
    assert gauge.most == 200


def test_an_asynchronous_task_that_waits_for_its_own_tasks_lends_its_slot(accounts):
    @task
    async def countdown(n):
        if n == 0:
            return 0
        return 1 + await countdown.submit(n - 1).result()

    @flow(task_runner=ConcurrentTaskRunner(max_workers=1))
    async def lending():
        return await countdown.submit(5).result(timeout=240)

    assert asyncio.run(lending()) == 5


@pytest.mark.parametrize("asynchronous", [True, False])
def test_a_thousand_sleeping_coroutines_need_no_threads(accounts, asynchronous):
    gauge = Gauge()

    @task
    async def sleeping(n):
        with gauge:
            await gauge.filled(1000)
        return n

    @flow
    async def from_asynchronous():
        return [await future.result() for future in sleeping.map(range(1000))]

    @flow
    def from_synchronous():
        return [future.result() for future in sleeping.map(range(1000))]

    threads = threading.active_count()
    assert (asyncio.run(from_asynchronous()) if asynchronous else from_synchronous()) == list(range(1000))
    assert threading.active_count() < threads + 20


def test_a_flow_that_is_over_time_cancels_its_coroutines_on_the_shared_loop(accounts):
    begun, stopped = threading.Event(), threading.Event()

    @task
    async def endless():
        try:
            begun.set()
            await asyncio.sleep(600)
        finally:
            stopped.set()

    @flow(timeout_seconds=200)
    def too_long():
        endless.submit()
        assert begun.wait(60)
        time_is_up()
        while True:
            time.sleep(0.01)

    state = too_long(return_state=True)
    assert state.name == "TimedOut"
    assert stopped.is_set()
    (run,) = accounts.task_runs(accounts.flow_run(too_long)).values()
    assert run.state_name == "Crashed"


def test_users_write_runners_of_their_own(accounts):
    events = []

    class LoudTaskRunner(BaseTaskRunner):
        @property
        def concurrency_type(self):
            return TaskConcurrencyType.CONCURRENT

        def start(self):
            events.append("start")

        def submit(self, work):
            events.append("submit")
            context = contextvars.copy_context()
            threading.Thread(target=context.run, args=[work]).start()

        def stop(self):
            events.append("stop")

    @task
    def double(n):
        return 2 * n

    @flow(task_runner=LoudTaskRunner)
    def loud():
        return sum(future.result() for future in double.map([1, 2, 3]))

    assert loud() == 12
    assert events == ["start", "submit", "submit", "submit", "stop"]
    with pytest.raises(TypeError, match="abstract"):
        BaseTaskRunner()
    assert LoudTaskRunner().name == "loud"
    assert [kind().concurrency_type.name for kind in (ConcurrentTaskRunner, SequentialTaskRunner)] == [
        "CONCURRENT",
        "SEQUENTIAL",
    ]


def test_what_outlives_its_try_of_the_flow_counts_for_no_later_one(accounts, monkeypatch):
    monkeypatch.setattr(flow_runs, "CHILDREN_SECONDS", 0.2)
    begun, gate, tries, ran = threading.Event(), threading.Event(), [], []

    @task
    def stuck():
        begun.set()
        gate.wait(240)  # no exception gets in there

    @task
    def behind(number):
        ran.append(number)
        return number

    @flow(retries=1, task_runner=ConcurrentTaskRunner(max_workers=1))
    def tried_twice():
        tries.append(1)
        if len(tries) == 1:
            stuck.submit()
            behind.submit(1)
            assert begun.wait(60)
            raise Timeout
        gate.set()
        return behind.submit(2).result()

    assert tried_twice() == 2
    assert ran == [2]
    this = {"id": {"any_": [str(accounts.flow_run(tried_twice).id)]}}
    found = accounts.client.read_task_runs(flow_run_filter=this)
    assert sorted((run.name, run.state_name) for run in found) == [
        ("behind-0", "Completed"),
        ("behind-0", "Crashed"),
        ("stuck-0", "Crashed"),
    ]
