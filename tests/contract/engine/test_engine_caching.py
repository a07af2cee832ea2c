"""Results of equal task runs are taken from the cache, by whoever made them, and never at the price of a wrong one."""

import subprocess
import sys
import textwrap
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from penstock import flow, task
from penstock.engine import caching
from penstock.filesystems import LocalFileSystem
from penstock.model.reasons import Reason
from penstock.states import Failed
from penstock.tasks import task_input_hash
from penstock.testing import FaultProxy


def names_of(accounts: Any, run: Any) -> list[str]:
    """The state names of the run's task runs, by the task runs' names."""
    return [task_run.state_name for _, task_run in sorted(accounts.task_runs(run).items())]


def counted(**options: Any) -> Any:
    """A task with a cache key of its own, and how often it was run."""
    key = uuid4().hex
    runs: list[Any] = []

    @task(**{"cache_key_fn": lambda context, arguments: f"{key}-{arguments['x']}", **options})
    def squared(x):
        runs.append(x)
        return x * x

    squared.runs = runs
    return squared


def test_a_run_with_an_equal_key_is_not_run_again(accounts):
    squared = counted()

    @flow
    def calls_thrice():
        return squared(2), squared(2), squared(3), squared.submit(2).result()

    assert calls_thrice() == (4, 4, 9, 4)
    assert squared.runs == [2, 3]
    assert calls_thrice() == (4, 4, 9, 4)
    assert squared.runs == [2, 3]
    first, second = accounts.flow_runs(calls_thrice)
    assert names_of(accounts, first) == ["Completed", "Cached", "Completed", "Cached"]
    assert names_of(accounts, second) == ["Cached"] * 4
    cached = accounts.task_runs(second)["squared-0"]
    assert accounts.task_states(cached) == ["Pending", "Cached"]
    assert (cached.run_count, cached.start_time, cached.state.result()) == (0, None, 4)


PROGRAM = """
from penstock import flow, task
from penstock.tasks import task_input_hash

@task(cache_key_fn=task_input_hash)
def slow(names, options):
    print("ran", end=" ")
    return sorted(names)

@flow
def program():
    print(slow({"a", "b", "c"}, {"x": 1, "y": {"z"}}))

program()
"""


def test_other_processes_find_what_one_has_made(accounts, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    outputs = []
    for seed in ("1", "2"):
        env = {**accounts.server.env, "PYTHONHASHSEED": seed}
        done = subprocess.run([sys.executable, program], env=env, capture_output=True, text=True, timeout=240)
        outputs.append(done.stdout.strip())
    assert outputs == ["ran ['a', 'b', 'c']", "['a', 'b', 'c']"]
    program.write_text(PROGRAM.replace("sorted(names)", "sorted(names, reverse=True)"))
    done = subprocess.run(
        [sys.executable, program], env=accounts.server.env, capture_output=True, text=True, timeout=240
    )
    assert done.stdout.strip() == "ran ['c', 'b', 'a']", "other code with the same name has another key"


@pytest.mark.parametrize(("expiration", "runs"), [(timedelta(hours=1), 1), (timedelta(seconds=-1), 3), (None, 1)])
def test_a_result_is_taken_until_it_expires(accounts, expiration, runs):
    squared = counted(cache_expiration=expiration)

    @flow
    def expires():
        return squared(2), squared(2)

    expires()
    run = accounts.flow_runs(expires)[-1]
    details = accounts.task_runs(run)["squared-0"].state.state_details
    assert (details.cache_expiration is None) is (expiration is None)
    assert details.cache_key is not None
    expires.with_options(name=f"later-{uuid4().hex[:6]}")() if runs == 1 else squared_again(squared)
    assert len(squared.runs) == runs


def squared_again(squared: Any) -> None:
    @flow
    def again():
        squared(2)

    again()


@pytest.mark.parametrize(
    ("option", "setting", "refreshes"),
    [(True, "false", True), (None, "true", True), (False, "true", False), (None, "false", False)],
)
def test_refreshing_runs_the_task_and_replaces_what_is_cached(monkeypatch, option, setting, refreshes):
    monkeypatch.setenv("PENSTOCK_TASKS_REFRESH_CACHE", setting)
    key, made = uuid4().hex, iter(range(10))

    @task(cache_key_fn=lambda context, arguments: key, refresh_cache=option)
    def numbered():
        return next(made)

    lenient = numbered.with_options(refresh_cache=False)

    @flow
    def refreshes_or_not():
        return numbered(), numbered(), lenient()

    assert refreshes_or_not() == ((0, 1, 1) if refreshes else (0, 0, 0))


def test_a_key_of_none_means_no_cache(accounts):
    runs = []

    @task(cache_key_fn=lambda context, arguments: None)
    def never_cached():
        return runs.append(1)

    @flow
    def calls_twice():
        never_cached()
        never_cached()

    calls_twice()
    assert len(runs) == 2
    assert names_of(accounts, accounts.flow_run(calls_twice)) == ["Completed", "Completed"]


@pytest.mark.parametrize(
    ("key_fn", "message"),
    [
        (lambda context, arguments: arguments["y"], "KeyError: 'y'"),
        (lambda context, arguments: 7, "cache_key_fn returned int; it must return a str"),
        (lambda context, arguments: "x" * 2001, "2001 characters; a cache key has at most 2000"),
    ],
)
def test_a_key_that_cannot_be_used_fails_the_run_before_it_runs(accounts, key_fn, message):
    squared = counted(cache_key_fn=key_fn)

    @flow
    def wrong_key():
        return squared(2, return_state=True), "done"

    state, _ = wrong_key()
    assert state.is_failed()
    assert message in state.message
    assert squared.runs == []


def test_the_key_function_gets_the_run_and_all_arguments(accounts):
    seen = []

    def key_of(context, arguments):
        seen.append((context.task.name, context.task_run.name, context.flow_run_context.flow.name, dict(arguments)))

    @task(cache_key_fn=key_of)
    def load(a, b=2, *rest, **others):
        return a

    @flow
    def calls_load():
        load(load(1), 3, 4, c=5)

    calls_load()
    assert seen == [
        ("load", "load-0", "calls-load", {"a": 1, "b": 2, "rest": (), "others": {}}),
        ("load", "load-1", "calls-load", {"a": 1, "b": 3, "rest": (4,), "others": {"c": 5}}),
    ]


@pytest.mark.parametrize("harm", [Path.unlink, lambda path: path.write_bytes(b"damaged")], ids=["gone", "damaged"])
def test_a_cached_result_that_cannot_be_read_is_made_again(accounts, harm):
    squared = counted()

    @flow
    def reads_cached():
        return squared(2, return_state=True)

    first = reads_cached(return_state=True)
    harm(Path(first.data.reference["storage_key"]))
    assert reads_cached() == 4
    assert squared.runs == [2, 2]
    run = accounts.flow_runs(reads_cached)[-1]
    assert names_of(accounts, run) == ["Completed"]
    assert any("The cached result cannot be used, so the task is run" in line for line in accounts.messages(run))
    assert reads_cached() == 4
    assert squared.runs == [2, 2]


def test_equal_runs_side_by_side_all_end_right(accounts):
    squared = counted()

    @flow
    def many_equal():
        return [future.result() for future in squared.map([3] * 40)]

    assert many_equal() == [9] * 40
    assert set(names_of(accounts, accounts.flow_run(many_equal))) <= {"Completed", "Cached"}


def test_what_failed_is_not_cached(accounts):
    key, tries = uuid4().hex, []

    @task(cache_key_fn=lambda context, arguments: key, retries=1)
    def fails_first():
        tries.append(1)
        if len(tries) == 1:
            raise ValueError("once")
        return Failed(message="as a state") if len(tries) == 2 else "done"

    @flow
    def tries_three_times():
        return [fails_first(return_state=True) for _ in range(3)], None

    states, _ = tries_three_times()
    assert [state.name for state in states] == ["Failed", "Completed", "Cached"]
    assert len(tries) == 3


def test_nothing_is_found_that_was_not_to_be_written(accounts):
    squared = counted(persist_result=False)

    @flow
    def caches_in_vain():
        return squared(2), squared(2)

    assert caches_in_vain() == (4, 4)
    assert squared.runs == [2, 2]


def test_the_object_of_a_method_is_part_of_its_key(accounts):
    class Scaled:
        def __init__(self, factor):
            self.factor = factor

        @task(cache_key_fn=task_input_hash)
        def times(self, x):
            return self.factor * x

    @flow
    def scales():
        return Scaled(2).times(5), Scaled(3).times(5), Scaled(2).times(5, return_state=True)

    ten, fifteen, again = scales()
    assert (ten, fifteen, again.name, again.result()) == (10, 15, "Cached", 10)


def test_an_argument_that_cannot_be_hashed_is_named_in_the_log(accounts):
    runs = []

    @task(cache_key_fn=task_input_hash)
    def locked(number, lock):
        runs.append(number)

    @flow
    def calls_with_a_lock():
        lock = threading.Lock()
        locked(1, lock)
        locked(1, lock)

    calls_with_a_lock()
    assert runs == [1, 1]
    lines = accounts.messages(accounts.flow_run(calls_with_a_lock))
    assert any("Not cached, because the argument 'lock' cannot be hashed" in line for line in lines)


def test_hooks_are_called_for_what_was_run_and_not_for_what_was_cached(monkeypatch):
    called = []
    squared = counted(on_completion=[lambda task, task_run, state: called.append(state.name)])

    @flow
    def with_hooks():
        squared(2)
        squared(2)

    with_hooks()
    assert called == ["Completed"]
    monkeypatch.setenv("PENSTOCK_RUN_ON_COMPLETION_HOOKS_ON_CACHED", "true")
    with_hooks()
    assert called == ["Completed", "Cached", "Cached"]


def test_a_server_that_is_away_costs_a_run_of_the_task_and_not_the_flow(accounts, monkeypatch):
    monkeypatch.setattr(caching, "ASKED_SECONDS", 0.3)
    squared = counted()
    with FaultProxy(accounts.server.api_url) as proxy:
        monkeypatch.setenv("PENSTOCK_API_URL", proxy.url)

        @flow
        def goes_on_alone():
            proxy.refuse()
            try:
                return squared(2), squared(2, return_state=True)
            finally:
                proxy.refuse(False)

        four, again = goes_on_alone()
    assert (four, again.name, squared.runs) == (4, "Cached", [2])
    lines = accounts.messages(accounts.flow_run(goes_on_alone))
    assert sum("could not be asked for a cached result" in line for line in lines) == 1


def test_a_server_that_is_away_when_the_storage_is_looked_up_is_waited_for(accounts, monkeypatch, tmp_path):
    LocalFileSystem(basepath=str(tmp_path)).save("looked-up", overwrite=True)
    monkeypatch.setenv("PENSTOCK_CLIENT_MAX_RETRIES", "0")

    @task(persist_result=True, result_storage="local-file-system/looked-up")
    def waits_for_its_storage():
        return 1

    with FaultProxy(accounts.server.api_url) as proxy:
        monkeypatch.setenv("PENSTOCK_API_URL", proxy.url)

        @flow
        def outlives_the_outage():
            proxy.refuse()
            back = threading.Timer(1.0, proxy.refuse, [False])
            back.start()
            try:
                return waits_for_its_storage()
            finally:
                back.join()

        assert outlives_the_outage() == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_an_asynchronous_task_is_cached_too(accounts):
    import asyncio

    key, runs = uuid4().hex, []

    @task(cache_key_fn=lambda context, arguments: key)
    async def fetch():
        runs.append(1)
        return "page"

    @flow
    async def fetches():
        return await fetch(), await (await fetch.submit()).result()

    assert asyncio.run(fetches()) == ("page", "page")
    assert len(runs) == 1


def test_a_cached_result_need_not_stay_in_memory(accounts):
    squared = counted(cache_result_in_memory=False)

    @flow
    def remembers_nothing():
        squared(2)
        return squared(2, return_state=True)

    state = remembers_nothing(return_state=True)
    assert (state.name, state.data.has_cached_object(), state.result()) == ("Cached", False, 4)


def test_the_reason_of_a_result_that_cannot_be_written_is_told_and_nothing_is_cached(accounts):
    key = uuid4().hex

    @task(cache_key_fn=lambda context, arguments: key)
    def unwritable():
        return threading.Lock()

    @flow
    def caches_a_lock():
        return [unwritable(return_state=True) for _ in range(2)], None

    states, _ = caches_a_lock()
    assert [state.state_details.reason for state in states] == [Reason.RESULT_NOT_WRITTEN] * 2
    assert textwrap.shorten(states[0].message, 60).startswith("SerializationError: The result of task 'unwritable'")
