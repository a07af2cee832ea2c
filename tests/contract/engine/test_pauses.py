"""A paused run waits for whoever resumes it, and fails if nobody does."""

import asyncio
import threading
import time
from typing import Any

import pytest
from paused_flows import InThread, paused_run

from penstock import flow, get_run_logger, pause_flow_run, resume_flow_run, task
from penstock.engine import watches
from penstock.errors import FlowPauseTimeout, MissingContext, NotPausedError, ParameterError, Refused
from penstock.model.states import StateType
from penstock.testing import wait_until


def test_a_paused_run_goes_on_within_a_second_of_its_being_resumed(accounts, monkeypatch):
    monkeypatch.setattr(watches, "LONGEST_POLL", 60.0)

    @flow
    def waits():
        pause_flow_run(timeout=600, poll_interval=60)
        return "went on"

    running = InThread(waits)
    run = paused_run(accounts, waits)
    assert run.state.state_details.pause_timeout is not None
    assert run.state.state_details.pause_key == "1"
    resumed = time.monotonic()
    resume_flow_run(run.id)
    assert running.result() == "went on"
    assert running.ended - resumed < 30  # far below the interval at which anybody would ask by himself
    assert accounts.states(run) == ["Pending", "Running", "Paused", "Running", "Completed"]
    assert accounts.flow_run(waits).run_count == 1


def test_an_asynchronous_flow_awaits_its_pause(accounts):
    @flow
    async def waits_async():
        await pause_flow_run(timeout=600)
        return "went on"

    running = InThread(lambda: asyncio.run(waits_async()))
    resume_flow_run(paused_run(accounts, waits_async).id)
    assert running.result() == "went on"


def test_nobody_resumes_it_and_the_run_fails_with_a_clear_message(accounts):
    cleaned = []

    @flow(retries=3)
    def forgotten():
        try:
            pause_flow_run(timeout=0.5)
        finally:
            cleaned.append(True)

    state = forgotten(return_state=True)
    with pytest.raises(FlowPauseTimeout, match="nobody resumed it until"):
        state.result()
    run = accounts.flow_run(forgotten)
    assert accounts.states(run)[-2:] == ["Paused", "Failed"]
    assert "nobody resumed it" in run.state.message
    assert run.state.state_details.reason == "PauseExpired"
    assert cleaned == [True]


def test_catching_the_timeout_changes_nothing(accounts):
    @flow
    def stubborn():
        try:
            pause_flow_run(timeout=0.3)
        except FlowPauseTimeout:
            return "as if nothing had happened"

    state = stubborn(return_state=True)
    assert state.is_failed()
    assert accounts.flow_run(stubborn).state_type is StateType.FAILED


def test_a_pause_is_passed_once_also_when_the_run_is_tried_again(accounts):
    tries = []

    @flow(retries=1)
    def tried_twice():
        pause_flow_run(timeout=600)
        tries.append(1)
        if len(tries) == 1:
            raise ValueError("the first try fails")
        return "done"

    running = InThread(tried_twice)
    run = paused_run(accounts, tried_twice)
    resume_flow_run(run.id)
    assert running.result() == "done"
    assert accounts.states(run).count("Paused") == 1


def test_two_pauses_are_two_and_one_key_is_one(accounts):
    @flow
    def two():
        pause_flow_run(timeout=600)
        pause_flow_run(timeout=60, key="mine")
        pause_flow_run(timeout=60, key="mine")
        return "done"

    running = InThread(two)
    run = paused_run(accounts, two)
    resume_flow_run(run.id)
    wait_until(lambda: paused_run(accounts, two).state.state_details.pause_key == "mine", 60, "the second pause")
    resume_flow_run(run.id)
    assert running.result() == "done"
    assert accounts.states(run).count("Paused") == 2


def test_tasks_that_run_go_on_and_no_new_one_starts(accounts):
    go, begun = threading.Event(), threading.Event()
    order: list[str] = []

    @task
    def running_one():
        begun.set()
        go.wait(120)
        order.append("ran on")

    @task
    def later_one():
        order.append("later")

    @flow
    def busy():
        first = running_one.submit()
        begun.wait(120)
        later = later_one.submit(wait_for=[first])
        pause_flow_run(timeout=600)
        order.append("resumed")
        later.wait()

    running = InThread(busy)
    run = paused_run(accounts, busy)
    go.set()
    wait_until(lambda: accounts.task_runs(run)["running_one-0"].state_type is StateType.COMPLETED, 60, "it ended")
    wait_until(lambda: len(order) >= 1, 60, "it ran on")
    resume_flow_run(run.id)
    running.result()
    assert order[0] == "ran on"
    assert set(order) == {"ran on", "resumed", "later"}


def test_a_run_that_is_paused_from_outside_starts_nothing_until_it_is_resumed(accounts):
    at_pause, go = threading.Event(), threading.Event()
    calls: list[int] = []

    @task
    def step(number: int) -> int:
        calls.append(number)
        return number

    @flow
    def steady():
        step(1)
        at_pause.set()
        go.wait(120)
        get_run_logger().info("what tells the server that it is alive tells it that it is paused")
        running.paused_seen.wait(120)
        step(2)
        return "done"

    running: Any = InThread(lambda: steady())
    running.paused_seen = threading.Event()
    assert at_pause.wait(120)
    run = accounts.flow_run(steady)
    pause_flow_run(flow_run_id=run.id, timeout=600)
    assert accounts.flow_run(steady).state_type is StateType.PAUSED
    go.set()
    wait_until(lambda: "what tells" in " ".join(accounts.messages(run)), 60, "the report has arrived")
    running.paused_seen.set()
    wait_until(lambda: "step-1" in accounts.task_runs(run), 60, "the second task is asked for")
    assert accounts.task_runs(run)["step-1"].state_type is StateType.PENDING
    assert calls == [1]
    resume_flow_run(run.id)
    assert running.result() == "done"
    assert calls == [1, 2]


def test_a_pause_can_be_cancelled(accounts):
    from penstock.model.states import StateCreate

    @flow
    def waits_in_vain():
        pause_flow_run(timeout=600)

    running = InThread(lambda: waits_in_vain(return_state=True))
    run = paused_run(accounts, waits_in_vain)
    answer = accounts.client.set_flow_run_state(run.id, StateCreate(type=StateType.CANCELLING))
    assert answer.state.is_cancelling(), "the process is asked to stop; it has not confirmed that"
    assert running.result().is_cancelled()
    assert accounts.flow_run(waits_in_vain).state_type is StateType.CANCELLED


def test_a_subflow_can_pause_and_its_parent_waits(accounts):
    @flow
    def inner_pause():
        pause_flow_run(timeout=600)
        return 7

    @flow
    def outer_pause():
        return inner_pause()

    running = InThread(outer_pause)
    child = paused_run(accounts, inner_pause)
    assert accounts.flow_run(outer_pause).state_type is StateType.RUNNING
    with pytest.raises(Refused, match="runs in the process of its parent"):
        pause_flow_run(flow_run_id=child.id)
    resume_flow_run(child.id)
    assert running.result() == 7


@pytest.mark.parametrize("what", ["pause_flow_run", "suspend_flow_run"])
def test_outside_of_a_flow_there_is_nothing_to_pause(what):
    import penstock

    with pytest.raises(MissingContext, match=rf"{what}\(\) was called outside of a flow run"):
        getattr(penstock, what)()


def test_a_task_cannot_pause(accounts):
    @task
    def tries():
        pause_flow_run(timeout=1)

    @flow
    def through_a_task():
        tries()

    with pytest.raises(MissingContext, match="within a task"):
        through_a_task()


def test_a_run_without_a_deployment_cannot_be_suspended(accounts):
    from penstock import suspend_flow_run

    @flow
    def no_home():
        suspend_flow_run(timeout=600)

    with pytest.raises(Refused, match="no deployment"):
        no_home()
    assert accounts.flow_run(no_home).state_type is StateType.FAILED


def test_only_a_paused_run_can_be_resumed(accounts):
    @flow
    def over():
        return 1

    over()
    with pytest.raises(NotPausedError, match="Completed"):
        resume_flow_run(accounts.flow_run(over).id)


def test_input_for_a_pause_that_wants_none_is_refused(accounts):
    @flow
    def wants_none():
        pause_flow_run(timeout=600)

    running = InThread(wants_none)
    run = paused_run(accounts, wants_none)
    with pytest.raises(ParameterError, match="does not wait for any input"):
        resume_flow_run(run.id, run_input={"x": 1})
    resume_flow_run(run.id)
    running.result()
