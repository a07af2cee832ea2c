"""Every option of flows does what it says: one row each, and each is seen to make a difference."""

import contextlib
import itertools
import threading

import pytest
from option_rows import Row

from penstock import flow, task
from penstock.filesystems import LocalFileSystem
from penstock.sdk.flows import FlowOptions
from penstock.states import Cancelled
from penstock.task_runners import SequentialTaskRunner

numbers = itertools.count()


@task
def thread_of():
    return threading.get_ident()


def run_of(accounts, decorated, *args):
    """The state of one run, and the run as the server has it."""
    before = {run.id for run in accounts.flow_runs(decorated)}
    state = decorated(*args, return_state=True)
    (run,) = [run for run in accounts.flow_runs(decorated) if run.id not in before]
    return state, run


def plain(options):
    @flow(**{"name": f"options-{next(numbers)}", **options})
    def of_options(x: int = 1):
        """From the docstring."""
        return x

    return of_options


def name_of_flow(accounts, **options):
    _, run = run_of(accounts, plain(options))
    return accounts.client.read_flow(run.flow_id).name


def of_run(attribute):
    return lambda accounts, **options: getattr(run_of(accounts, plain(options))[1], attribute)


def description(accounts, **options):
    return plain(options).description


def kind_of_argument(accounts, **options):
    return type(plain(options)("5")).__name__


def executions(accounts, **options):
    times = []

    @flow(**options)
    def failing():
        times.append(1)
        raise ValueError

    failing(return_state=True)
    return len(times)


def delay(accounts, **options):
    @flow(name=f"options-{next(numbers)}", **options)
    def failing():
        raise ValueError

    _, run = run_of(accounts, failing)
    (waiting,) = [s for s in accounts.client.read_flow_run_states(run.id) if s.name == "AwaitingRetry"]
    waited = (waiting.state_details.scheduled_time - waiting.timestamp).total_seconds()
    return run.empirical_policy.retry_delay, waited >= 0.05


def same_thread(accounts, **options):
    @flow(**options)
    def submitting():
        return thread_of.submit().result() == threading.get_ident()

    return submitting()


def name_after_waiting(accounts, **options):
    @flow(**options)
    def waiting():
        threading.Event().wait(0.5)

    return waiting(return_state=True).name


def kept(*facts):
    """Facts of what the server keeps in place of the result."""
    return lambda accounts, **options: tuple(
        run_of(accounts, plain(options))[1].state.data.get(fact, "none") for fact in facts
    )


def in_memory(accounts, **options):
    return plain(options)(return_state=True).data.has_cached_object()


def prints_are_lines(accounts, **options):
    @flow(name=f"options-{next(numbers)}", **options)
    def printing():
        print("printed")

    _, run = run_of(accounts, printing)
    return "printed" in accounts.messages(run)


def called(ending):
    """Whether the hook was called when the flow ends so, and with what."""

    def observe(accounts, **options):
        calls.clear()

        @flow(name="hooked", **options)
        def ends():
            match ending:
                case "crash":
                    raise KeyboardInterrupt
                case "failure":
                    raise ValueError
                case "cancellation":
                    return Cancelled()

        with contextlib.suppress(KeyboardInterrupt):
            ends(return_state=True)
        return list(calls)

    return observe


calls = []


def hook(of, run, state):
    calls.append((of.name, type(run).__name__, state.name))


ROWS = [
    Row("name", "with a name", name_of_flow, "with a name"),
    Row("version", "v7", of_run("flow_version"), "v7"),
    Row("flow_run_name", "x is {x}", of_run("name"), "x is 1"),
    Row("flow_run_name", lambda: "from a function", of_run("name"), "from a function"),
    Row("description", "what it does", description, "what it does"),
    Row("retries", 2, executions, 3),
    Row("retry_delay_seconds", 0.05, delay, (0.05, True), {"retries": 1}),
    Row("task_runner", SequentialTaskRunner(), same_thread, True),
    Row("timeout_seconds", 0.05, name_after_waiting, "TimedOut"),
    Row("validate_parameters", False, kind_of_argument, "str"),
    Row("log_prints", True, prints_are_lines, True),
    Row("persist_result", True, kept("type"), ("reference",)),
    Row("result_serializer", "json", kept("type", "serializer_type"), ("reference", "json"), {"persist_result": True}),
    Row("cache_result_in_memory", False, in_memory, False, {"persist_result": True}),
    Row("on_running", [hook], called("completion"), [("hooked", "FlowRun", "Running")]),
    Row("on_completion", [hook], called("completion"), [("hooked", "FlowRun", "Completed")]),
    Row("on_failure", [hook], called("failure"), [("hooked", "FlowRun", "Failed")]),
    Row("on_cancellation", [hook], called("cancellation"), [("hooked", "FlowRun", "Cancelled")]),
    Row("on_crashed", [hook], called("crash"), [("hooked", "FlowRun", "Crashed")]),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.option)
def test_an_option_of_flows_does_what_it_says(accounts, row):
    row.check(accounts)


def test_the_storage_of_results_is_where_they_go(accounts, tmp_path):
    storage = LocalFileSystem(basepath=str(tmp_path))
    row = Row("result_storage", storage, lambda *_, **options: _files(tmp_path, options), 1, {"persist_result": True})
    row.check(accounts)


def _files(folder, options):
    before = set(folder.iterdir())
    plain(options)()
    return len(set(folder.iterdir()) - before)


def test_no_option_of_flows_is_forgotten():
    assert {row.option for row in ROWS} | {"result_storage"} == set(FlowOptions.__annotations__)
