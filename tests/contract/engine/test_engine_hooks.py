"""Hooks: called after the state was recorded, in order, in the run's context; what they raise changes nothing."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from penstock import flow, get_run_logger, task
from penstock.context import FlowRunContext, TaskRunContext
from penstock.model.states import StateCreate, StateType
from penstock.states import Cancelled
from penstock.testing import wait_until


def recording(calls, name="hook"):
    def hook(what, run, state):
        calls.append((name, what.name, run.name, state.name))

    return hook


def test_a_flows_hooks_are_called_for_the_states_that_it_enters(accounts):
    calls = []
    hooks = {f"on_{name}": [recording(calls, name)] for name in ("running", "completion", "failure", "cancellation")}

    @flow(flow_run_name="run of {x}", **hooks)
    def hooked(x):
        if x == "fails":
            raise ValueError
        return Cancelled() if x == "is cancelled" else None

    hooked("completes")
    hooked("fails", return_state=True)
    hooked("is cancelled", return_state=True)
    assert calls == [
        ("running", "hooked", "run of completes", "Running"),
        ("completion", "hooked", "run of completes", "Completed"),
        ("running", "hooked", "run of fails", "Running"),
        ("failure", "hooked", "run of fails", "Failed"),
        ("running", "hooked", "run of is cancelled", "Running"),
        ("cancellation", "hooked", "run of is cancelled", "Cancelled"),
    ]


def test_a_hook_sees_the_server_and_the_result_as_they_are_then(accounts):
    seen = []

    def look(_flow, flow_run, state):
        seen.append((accounts.client.read_flow_run(flow_run.id).state_name, state.result(), flow_run.state_type))

    @flow(on_completion=[look])
    def looked_at():
        return 42

    looked_at()
    assert seen == [("Completed", 42, StateType.COMPLETED)]


def test_tasks_have_hooks_too(accounts):
    calls = []

    @task(
        task_run_name="run of {x}",
        on_completion=[recording(calls, "completion")],
        on_failure=[recording(calls, "failure")],
    )
    def hooked(x):
        return 1 / x

    @flow
    def calling():
        hooked(1)
        hooked.submit(2).wait()
        hooked(0, return_state=True)
        return "done"

    calling()
    assert calls == [
        ("completion", "hooked", "run of 1", "Completed"),
        ("completion", "hooked", "run of 2", "Completed"),
        ("failure", "hooked", "run of 0", "Failed"),
    ]


def test_a_task_that_was_not_run_because_of_another_has_no_failure_of_its_own(accounts):
    calls = []

    @task
    def fails():
        raise ValueError

    @task(on_failure=[recording(calls)])
    def depends(x): ...

    @flow
    def chain():
        return depends.submit(fails.submit()).wait().name

    assert chain() == "UpstreamFailed"
    assert calls == []


def test_only_the_last_failure_counts_where_a_run_is_tried_again(accounts):
    calls, times = [], []

    @task(retries=1, on_failure=[recording(calls, "task")])
    def flaky():
        times.append(1)
        raise ValueError

    @flow(retries=1, on_failure=[recording(calls, "flow")], on_running=[recording(calls, "running")])
    def retried():
        flaky()

    retried(return_state=True)
    assert len(times) == 4
    assert [(name, state) for name, _, _, state in calls] == [
        ("running", "Running"), ("task", "Failed"), ("running", "Retrying"), ("task", "Failed"), ("flow", "Failed")
    ]  # fmt: skip


def test_a_hook_that_raises_is_logged_and_the_next_one_is_called(accounts):
    calls = []

    def broken(_what, _run, _state):
        raise RuntimeError("a broken hook")

    async def asynchronous(_flow, flow_run, _state):
        await asyncio.sleep(0)
        get_run_logger().info("from the asynchronous hook")
        calls.append(FlowRunContext.get().flow_run.id == flow_run.id)

    @task(on_completion=[broken, lambda _task, task_run, _state: calls.append(TaskRunContext.get().id == task_run.id)])
    def inner(): ...

    @flow(on_completion=[broken, asynchronous])
    def unmoved():
        inner()

    unmoved()
    assert calls == [True, True]
    run = accounts.flow_run(unmoved)
    assert run.state_name == "Completed"
    wait_until(lambda: len(accounts.messages(run)) >= 7, timeout=60)
    messages = accounts.messages(run)
    assert sum("RuntimeError: a broken hook" in message for message in messages) == 2
    assert "from the asynchronous hook" in messages


def test_arguments_are_passed_by_name_to_hooks_that_have_the_names(accounts):
    calls = []

    def turned_around(state, flow_run, flow):
        calls.append((state.name, flow_run.flow_id is not None, flow.name))

    def only_names(**facts):
        calls.append(sorted(facts))

    def other_names(a, b, *rest):
        calls.append((a.name, len(rest)))

    @flow(on_completion=[turned_around, only_names, other_names])
    def named(): ...

    named()
    assert calls == [("Completed", True, "named"), ["flow", "flow_run", "state"], ("named", 1)]


def test_hooks_of_asynchronous_flows_are_awaited(accounts):
    calls = []

    async def hook(_what, _run, state):
        await asyncio.sleep(0)
        calls.append(state.name)

    @task(on_failure=[hook])
    async def fails():
        raise ValueError

    @flow(on_completion=[hook])
    async def awaiting():
        return (await fails(return_state=True)).name

    assert asyncio.run(awaiting()) == "Failed"
    assert calls == ["Failed", "Completed"]


def test_hooks_can_be_added_by_decorators_and_stay_with_other_options(accounts):
    calls = []

    @flow
    def decorated():
        noted()

    @task
    def noted(): ...

    @decorated.on_completion
    def of_flow(*_):
        calls.append("flow")

    @noted.on_completion
    def of_task(*_):
        calls.append("task")

    decorated.with_options(name="decorated-again")()
    assert calls == ["task", "flow"]
    assert list(decorated.on_completion) == [of_flow]


PROGRAM = """
import os, sys, time
from pathlib import Path
from penstock import flow, task

told = Path(sys.argv[1])

def hook(flow, flow_run, state):
    with told.open("a") as file:
        file.write(f"{flow.name} {state.name} {os.environ.get('LATE', '')}\\n")

@flow(log_prints=True, on_crashed=[hook], on_cancellation=[hook], on_failure=[hook], on_completion=[hook])
def stopped(how):
    if how == "exit":
        sys.exit(3)
    try:
        (told.parent / "ready").touch()
        for _ in range(3000):
            print("a line is answered with the news that the run is to stop")
            time.sleep(0.1)
    finally:
        os.environ["LATE"] = "after finally"

stopped(sys.argv[2])
"""


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("exit", "stopped Crashed"),
        (signal.SIGTERM, "stopped Crashed after finally"),
        (signal.SIGINT, "stopped Crashed after finally"),
        ("cancel", "stopped Cancelled after finally"),
    ],
)
def test_a_run_that_is_stopped_has_its_hooks_called_before_the_process_ends(accounts, tmp_path: Path, how, expected):
    program, told = tmp_path / "program.py", tmp_path / "told"
    program.write_text(PROGRAM)
    started = subprocess.Popen(
        [sys.executable, program, told, str(how)], env=accounts.server.env, stderr=subprocess.DEVNULL
    )
    try:
        if how != "exit":
            wait_until((tmp_path / "ready").exists, timeout=120)
        if how == "cancel":
            (run,) = [
                r
                for r in accounts.client.read_flow_runs(flow_filter={"name": {"any_": ["stopped"]}})
                if r.state.is_running()
            ]
            accounts.client.set_flow_run_state(run.id, StateCreate(type=StateType.CANCELLING))
        elif how != "exit":
            started.send_signal(how)
        started.wait(120)
    finally:
        started.kill()
        started.wait(120)
    assert told.read_text().strip() == expected
