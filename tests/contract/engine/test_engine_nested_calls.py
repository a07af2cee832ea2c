"""Tasks and flows that tasks call are runs of the same flow run, and belong to the task that calls them."""

import asyncio
import threading
import time

import pytest

from penstock import allow_failure, flow, get_run_logger, task
from penstock.errors import MissingContext, PenstockError
from penstock.task_runners import ConcurrentTaskRunner, SequentialTaskRunner


@task
def double(x):
    return 2 * x


@task
def fail():
    raise ValueError("inner")


def parents_of(task_run):
    return [source.id for source in task_run.task_inputs.get("__parents__", [])]


@pytest.mark.parametrize("runner", [ConcurrentTaskRunner(max_workers=2), SequentialTaskRunner()])
def test_a_task_calls_submits_and_maps_tasks(accounts, runner):
    @task
    def outer(x):
        called, submitted = double(x), double.submit(x + 1)
        return called + submitted.result() + sum(future.result() for future in double.map([1, 2]))

    @flow(task_runner=runner, name=f"nesting-{runner.name}")
    def nesting():
        return outer(1) + outer.submit(2).result() + double(0)

    assert nesting() == (2 + 4 + 6) + (4 + 6 + 6)
    run = accounts.flow_run(nesting)
    found = accounts.task_runs(run)
    assert sorted(found) == sorted(
        ["double-0", "outer-0", "outer-1", *(f"double-{outer}.{inner}" for outer in range(2) for inner in range(4))]
    )
    assert parents_of(found["double-1.3"]) == [found["outer-1"].id]
    assert parents_of(found["double-0"]) == parents_of(found["outer-0"]) == []
    assert {task_run.state_name for task_run in found.values()} == {"Completed"}
    assert {task_run.flow_run_id for task_run in found.values()} == {run.id}
    assert len({task_run.dynamic_key for task_run in found.values() if task_run.name.startswith("double")}) == 9


def test_an_asynchronous_task_awaits_what_it_calls(accounts):
    @task
    async def leaf(x):
        await asyncio.sleep(0)
        return x

    @task
    async def outer(x):
        future = leaf.submit(x)
        return await leaf(x) + await future.result() + double(x)

    @flow
    async def awaiting():
        return await outer(1) + await outer.submit(2).result()

    @flow(task_runner=SequentialTaskRunner)
    def not_awaiting():
        return outer(1) + outer.submit(2).result()

    assert asyncio.run(awaiting()) == not_awaiting() == 12
    names = sorted(accounts.task_runs(accounts.flow_run(awaiting)))
    assert names == sorted(accounts.task_runs(accounts.flow_run(not_awaiting)))
    assert "leaf-1.1" in names


def test_the_dynamic_keys_of_nested_calls_do_not_depend_on_the_threads(accounts):
    @task
    def outer(x, turn):
        turn.wait(60)
        double(x)
        double(x)

    def keys(order):
        turns = [threading.Event() for _ in range(3)]

        @flow(name="in-turns")
        def in_turns():
            futures = [outer.submit(n, turn) for n, turn in enumerate(turns)]
            for n in order:
                turns[n].set()
                futures[n].wait()

        in_turns()
        found = accounts.task_runs(accounts.flow_runs(in_turns)[-1])
        return {name: task_run.dynamic_key for name, task_run in found.items()}

    assert keys([0, 1, 2]) == keys([2, 1, 0])


def test_a_failure_that_the_outer_task_handles_does_not_fail_the_flow(accounts):
    @task
    def handles():
        try:
            fail()
        except ValueError as error:
            return str(error)

    @flow
    def goes_well():
        handles.submit()

    goes_well()
    run = accounts.flow_run(goes_well)
    assert run.state_name == "Completed"
    found = accounts.task_runs(run)
    assert (found["handles-0"].state_name, found["fail-0.0"].state_name) == ("Completed", "Failed")


def test_a_failure_that_nobody_handles_is_the_outer_tasks_own(accounts):
    @task
    def outer():
        fail()

    @flow
    def goes_wrong():
        outer()

    with pytest.raises(ValueError, match="inner"):
        goes_wrong()
    found = accounts.task_runs(accounts.flow_run(goes_wrong))
    assert {name: run.state_name for name, run in found.items()} == {"outer-0": "Failed", "fail-0.0": "Failed"}


def test_a_task_that_returns_futures_ends_as_they_do(accounts):
    @task
    def returns(*futures):
        return [fail.submit(), double.submit(1)]

    @flow
    def returning():
        state = returns(return_state=True)
        return state.name, state.message

    assert returning() == ("Failed", "1/2 states failed.")


def test_the_flow_waits_for_what_its_tasks_have_submitted(accounts):
    release, done = threading.Event(), []

    @task
    def late():
        release.wait(30)
        done.append(1)

    @task
    def leaves():
        late.submit()

    @flow
    def patient():
        leaves()
        threading.Timer(0.05, release.set).start()

    patient()
    assert done == [1]
    assert accounts.task_runs(accounts.flow_run(patient))["late-0.0"].state_name == "Completed"


def test_tasks_that_wait_for_what_they_submit_do_not_use_up_the_threads(accounts):
    @task
    def tower(height):
        return 1 + tower.submit(height - 1).result() if height else 0

    @flow(task_runner=ConcurrentTaskRunner(max_workers=1), timeout_seconds=60)
    def high():
        return tower.submit(20).result()

    assert high() == 20
    assert len(accounts.task_runs(accounts.flow_run(high))) == 21


def test_a_flow_called_in_a_task_has_the_task_as_parent_of_its_place(accounts):
    @flow
    def inner(x):
        return double(x)

    @task
    def calls(x):
        return inner(x)

    @flow
    def around():
        return calls(1) + calls.submit(2).result()

    assert around() == 6
    found = accounts.task_runs(accounts.flow_run(around))
    subflows = accounts.flow_runs(inner)
    assert parents_of(found["inner-1.0"]) == [found["calls-1"].id]
    assert [run.parent_task_run_id for run in subflows] == [found["inner-0.0"].id, found["inner-1.0"].id]
    assert list(accounts.task_runs(subflows[0])) == ["double-0"]


def test_a_retried_flow_finds_the_nested_runs_that_have_completed(accounts):
    executed = []

    @task
    def costly(x):
        executed.append(x)
        return x

    @task
    def outer():
        value = costly(7)
        if len(executed) + len(outers) < 3:
            outers.append(1)
            raise ValueError("not yet")
        return value

    outers = []

    @flow(retries=2)
    def again():
        return outer()

    assert again() == 7
    assert executed == [7]
    found = accounts.task_runs(accounts.flow_run(again))
    assert {name: run.run_count for name, run in found.items()} == {"outer-0": 3, "costly-0.0": 1}


def test_each_try_of_a_task_makes_calls_of_its_own(accounts):
    tries = []

    @task(retries=1)
    def outer():
        double(1)
        tries.append(1)
        if len(tries) < 2:
            raise ValueError("not yet")

    @flow
    def twice():
        outer()

    twice()
    assert sorted(accounts.task_runs(accounts.flow_run(twice))) == ["double-0.0", "double-0.1", "outer-0"]


def test_inputs_logs_and_failures_of_nested_calls_are_those_of_any_task(accounts):
    @task
    def says(x):
        get_run_logger().info("got %r", x)
        return type(x).__name__

    @task
    def outer():
        failed = fail.submit()
        return says(double.submit(1)), says(allow_failure(failed)), says(failed, return_state=True).name

    @flow
    def thorough():
        return outer()

    assert thorough() == ("int", "ValueError", "UpstreamFailed")
    run = accounts.flow_run(thorough)
    found = accounts.task_runs(run)
    assert found["says-0.0"].task_inputs["x"][0].id == found["double-0.0"].id
    line = next(line for line in accounts.logs(run) if line.message == "got 2")
    assert line.task_run_id == found["says-0.0"].id


def test_tasks_outside_of_a_flow_are_refused_with_the_way_out():
    with pytest.raises(MissingContext, match="outside of a flow") as refused:
        double(1)
    assert "double.fn" in refused.value.hint


def test_what_a_task_calls_is_stopped_by_the_tasks_timeout(accounts):
    @task
    def endless():
        while True:
            time.sleep(0.01)

    @task(timeout_seconds=1)
    def impatient():
        endless()

    @flow
    def bounded():
        return [impatient(return_state=True).name, impatient.submit().wait().name]

    assert bounded() == ["TimedOut", "TimedOut"]
    found = accounts.task_runs(accounts.flow_run(bounded))
    for number in range(2):
        state = found[f"endless-{number}.0"].state
        assert (state.name, state.message) == (
            "Crashed",
            "Stopped, because the timeout of what has called it has passed",
        )


def test_a_synchronous_call_that_would_block_the_loop_of_its_input_is_refused(accounts):
    @task
    async def naps():
        await asyncio.sleep(0.01)
        return 1

    @flow
    async def would_block():
        future = naps.submit()
        with pytest.raises(PenstockError, match="block the event loop") as refused:
            double(future)
        assert "await future.result()" in refused.value.hint
        submitted = double.submit(future)
        await future.wait()
        return double(future), submitted.result()

    assert asyncio.run(would_block()) == (2, 2)
    found = accounts.task_runs(accounts.flow_run(would_block))
    assert sorted(found) == ["double-0", "double-1", "naps-0"], "what is refused is no run"
