"""Every option of tasks does what it says: one row each, and each is seen to make a difference."""

import itertools
import re
import threading
from datetime import timedelta

import pytest
from option_rows import Row

from penstock import flow, task
from penstock.filesystems import LocalFileSystem
from penstock.sdk.tasks import TaskOptions
from penstock.tasks import exponential_backoff

numbers = itertools.count()
calls = []


def task_run_of(accounts, decorated, *args):
    """The final state of one run of the task, and the run as the server has it."""

    @flow(name=f"options-{next(numbers)}")
    def around():
        state = decorated(*args, return_state=True)
        states.append(state)
        return "done"

    states = []
    around()
    (task_run,) = accounts.task_runs(accounts.flow_run(around)).values()
    return states[0], task_run


def plain(options):
    @task(**options)
    def of_options(x=1):
        """From the docstring."""
        return x

    return of_options


def of_task(attribute):
    return lambda accounts, **options: getattr(plain(options), attribute)


def of_run(attribute):
    return lambda accounts, **options: getattr(task_run_of(accounts, plain(options))[1], attribute)


def executions(accounts, **options):
    times = []

    @task(**options)
    def failing():
        times.append(1)
        raise ValueError

    task_run_of(accounts, failing)
    return len(times)


def delays(accounts, **options):
    """What the server was told, and how late each further try was to be."""

    @task(**options)
    def failing():
        raise ValueError

    _, task_run = task_run_of(accounts, failing)
    lines = accounts.client.read_logs(log_filter={"task_run_id": {"any_": [str(task_run.id)]}}, sort="TIMESTAMP_ASC")
    told = [float(found[1]) for line in lines if (found := re.search(r"the next one in (\S+) s", line.message))]
    states = accounts.client.read_task_run_states(task_run.id)
    retries = [(before, after) for before, after in itertools.pairwise(states) if after.name == "AwaitingRetry"]
    for seconds, (before, after) in zip(told, retries, strict=True):
        delay, scheduled = timedelta(seconds=seconds), after.state_details.scheduled_time
        assert before.timestamp + delay < scheduled < after.timestamp + delay + timedelta(microseconds=2)
    return task_run.empirical_policy.retry_delay, told


def lengthened(accounts, **options):
    policy = task_run_of(accounts, plain(options))[1].empirical_policy
    return policy.retry_jitter_factor, any(delays(accounts, **options)[1][0] > 0.01 for _ in range(10))


def name_after_waiting(accounts, **options):
    @task(**options)
    def waiting():
        threading.Event().wait(0.5)

    return task_run_of(accounts, waiting)[0].name


def prints_are_lines(accounts, **options):
    @task(**options)
    def printing():
        print("printed")

    _, task_run = task_run_of(accounts, printing)
    lines = accounts.client.read_logs(log_filter={"task_run_id": {"any_": [str(task_run.id)]}})
    return "printed" in [line.message for line in lines]


def executions_of_two_calls(accounts, **options):
    """How often the task is executed when it is called twice with one argument."""
    times, key = [], f"{next(numbers)}"
    given = {name: (lambda *_: key) if value is one_key else value for name, value in options.items()}

    @task(**given)
    def counted():
        times.append(1)

    @flow(name=f"options-{key}")
    def twice():
        counted()
        counted()

    twice()
    return len(times)


def one_key(*_): ...


def kept(*facts):
    """Facts of what the server keeps in place of the result."""
    return lambda accounts, **options: tuple(
        task_run_of(accounts, plain(options))[1].state.data.get(fact, "none") for fact in facts
    )


def end_of_key(accounts, **options):
    _, task_run = task_run_of(accounts, plain(options))
    return task_run.state.data["storage_key"].rpartition("/")[2]


def in_memory(accounts, **options):
    return task_run_of(accounts, plain(options))[0].data.has_cached_object()


def called(value):
    def observe(accounts, **options):
        calls.clear()

        @task(name="hooked", **options)
        def divides():
            return 1 / value

        task_run_of(accounts, divides)
        return list(calls)

    return observe


def hook(of, run, state):
    calls.append((of.name, type(run).__name__, state.name))


RETRIED = {"retries": 2}
CACHED = {"cache_key_fn": one_key}
PERSISTED = {"persist_result": True}
ROWS = [
    Row("name", "with a name", of_run("name"), "with a name-0"),
    Row("version", "v7", of_run("task_version"), "v7"),
    Row("task_run_name", "x is {x}", of_run("name"), "x is 1"),
    Row("task_run_name", lambda: "from a function", of_run("name"), "from a function"),
    Row("description", "what it does", of_task("description"), "what it does"),
    Row("tags", ["b", "a"], of_run("tags"), ["a", "b"]),
    Row("retries", 2, executions, 3),
    Row("retry_delay_seconds", 0.05, delays, (0.05, [0.05, 0.05]), RETRIED),
    Row("retry_delay_seconds", [0.02, 0.05], delays, ([0.02, 0.05], [0.02, 0.05]), RETRIED),
    Row("retry_delay_seconds", exponential_backoff(0.02), delays, ([0.02, 0.04], [0.02, 0.04]), RETRIED),
    Row("retry_jitter_factor", 5, lengthened, (5, True), {**RETRIED, "retry_delay_seconds": 0.01}),
    Row("retry_condition_fn", lambda *_: False, executions, 1, RETRIED),
    Row("timeout_seconds", 0.05, name_after_waiting, "TimedOut"),
    Row("log_prints", True, prints_are_lines, True),
    Row("cache_key_fn", one_key, executions_of_two_calls, 1),
    Row("cache_expiration", timedelta(microseconds=1), executions_of_two_calls, 2, CACHED),
    Row("refresh_cache", True, executions_of_two_calls, 2, CACHED),
    Row("persist_result", True, kept("type"), ("reference",)),
    Row("result_storage_key", "x-{parameters[x]}-of-{task_run.name}", end_of_key, "x-1-of-of_options-0", PERSISTED),
    Row("result_serializer", "json", kept("type", "serializer_type"), ("reference", "json"), PERSISTED),
    Row("cache_result_in_memory", False, in_memory, False, PERSISTED),
    Row("on_completion", [hook], called(1), [("hooked", "TaskRun", "Completed")]),
    Row("on_failure", [hook], called(0), [("hooked", "TaskRun", "Failed")]),
    Row("viz_return_value", 7, of_task("viz_return_value"), 7),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.option)
def test_an_option_of_tasks_does_what_it_says(accounts, row):
    row.check(accounts)


def test_the_storage_of_results_is_where_they_go(accounts, tmp_path):
    def files(_accounts, **options):
        before = set(tmp_path.iterdir())
        task_run_of(accounts, plain(options))
        return len(set(tmp_path.iterdir()) - before)

    Row("result_storage", LocalFileSystem(basepath=str(tmp_path)), files, 1, PERSISTED).check(accounts)


def test_no_option_of_tasks_is_forgotten():
    assert {row.option for row in ROWS} | {"result_storage"} == set(TaskOptions.__annotations__)


def test_a_retry_condition_is_asked_after_each_failure_and_sees_it(accounts):
    asked = []

    def may_retry(of, task_run, state):
        asked.append((of.name, task_run.run_count, repr(state.result(raise_on_failure=False))))
        return task_run.run_count < 2

    @task(retries=5, retry_condition_fn=may_retry)
    def failing():
        raise ValueError("no")

    state, task_run = task_run_of(accounts, failing)
    assert (state.name, task_run.run_count) == ("Failed", 2)
    assert asked == [("failing", 1, "ValueError('no')"), ("failing", 2, "ValueError('no')")]


def test_a_retry_condition_that_raises_means_no(accounts):
    def broken(*_):
        raise RuntimeError("broken condition")

    assert executions(accounts, retries=5, retry_condition_fn=broken) == 1
