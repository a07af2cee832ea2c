"""What calling a flow does, in the program and on the server."""

import asyncio
import time

import pytest
from time_is_up import time_is_up

from penstock import allow_failure, flow, get_run_logger, tags, task
from penstock.context import get_run_context
from penstock.engine import outcomes
from penstock.errors import MissingContext, ParameterError, RunError
from penstock.model.reasons import Phase, Reason
from penstock.states import Cancelled, Completed, Failed


@task
def add(a, b):
    return a + b


@task
def fail(text="no"):
    raise ValueError(text)


def test_a_flow_returns_its_value_and_the_server_knows_its_run(accounts):
    @flow(version="7", description="adds")
    def simple_sum(a: int, b: int = 2):
        return a + b

    with tags("nightly"):
        assert simple_sum("1") == 3
    run = accounts.flow_run(simple_sum)
    assert accounts.states(run) == ["Pending", "Running", "Completed"]
    assert (run.parameters, run.flow_version, run.tags, run.run_count) == ({"a": 1, "b": 2}, "7", ["nightly"], 1)
    assert run.start_time <= run.end_time


def test_an_exception_of_the_flow_is_raised_and_the_run_says_why(accounts):
    @flow
    def breaking():
        raise LookupError("nobody there")

    with pytest.raises(LookupError, match="nobody there"):
        breaking()
    run = accounts.flow_run(breaking)
    assert (run.state_name, run.state.message) == ("Failed", "LookupError: nobody there")
    assert (run.state.state_details.phase, run.state.state_details.reason) == (Phase.RUN, Reason.USER_CODE_RAISED)
    (error,) = [line for line in accounts.logs(run) if "Traceback" in line.message]
    assert error.level == 40
    assert "in breaking" in error.message
    assert "penstock/engine" not in error.message


def test_the_final_state_can_be_had_instead_of_the_result(accounts):
    @flow
    def stateful(ok: bool):
        return 5 if ok else fail()

    good, bad = stateful(True, return_state=True), stateful(False, return_state=True)
    assert good.is_completed()
    assert good.result() == 5
    assert bad.is_failed()
    assert isinstance(bad.result(raise_on_failure=False), ValueError)


def test_wrong_arguments_are_named_before_there_is_a_run(accounts):
    @flow
    def picky(count: int):
        return count

    with pytest.raises(ParameterError, match="'count'"):
        picky("many")
    with pytest.raises(ParameterError, match="Did you mean 'count'"):
        picky(cuont=1)
    with pytest.raises(ParameterError, match="'count'"):
        picky()
    assert accounts.flow_runs(picky) == []


def test_validation_can_be_switched_off(accounts):
    @flow(validate_parameters=False)
    def lax(count: int):
        return count

    assert lax("many") == "many"


@pytest.mark.parametrize(
    ("returned", "name", "message"),
    [
        (lambda: Completed(message="nothing to do"), "Completed", "nothing to do"),
        (lambda: Failed(message="too few rows"), "Failed", "too few rows"),
        (lambda: Cancelled(), "Cancelled", None),
        (lambda: [add.submit(1, 2), fail.submit()], "Failed", "1/2 states failed."),
        (lambda: add.submit(1, 2), "Completed", None),
        (lambda: [add.submit(1, 2)], "Completed", "All states completed."),
    ],
    ids=["own completed", "own failed", "own cancelled", "one of two futures", "a future", "futures"],
)
def test_what_is_returned_decides_the_state(accounts, returned, name, message):
    @flow(name=f"returns-{time.monotonic_ns()}")
    def returning():
        return returned()

    returning(return_state=True)
    run = accounts.flow_run(returning)
    assert (run.state_name, run.state.message) == (name, message)


def test_a_flow_that_returns_nothing_is_as_good_as_its_tasks(accounts):
    @flow
    def careless():
        add(1, 2)
        fail.submit("first").wait()

    with pytest.raises(ValueError, match="first"):
        careless()
    assert accounts.flow_run(careless).state.message == "1/2 states failed."


def test_a_caught_failure_does_not_matter_when_something_is_returned(accounts):
    @flow
    def careful():
        try:
            fail()
        except ValueError:
            return "saved"

    assert careful() == "saved"


def test_runs_are_named_by_template_or_function(accounts):
    @flow(flow_run_name="load {table}")
    def named(table: str):
        return get_run_context().flow_run.name

    assert named("users") == "load users"
    assert named.with_options(flow_run_name=lambda: "by function")("x") == "by function"
    assert [run.name for run in accounts.flow_runs(named)] == ["load users", "by function"]


def test_a_failed_flow_is_run_again_without_repeating_what_was_done(accounts):
    tries, done = [], []

    @task
    def expensive():
        done.append(1)
        return len(done)

    @flow(retries=2, retry_delay_seconds=0.01)
    def stubborn():
        tries.append(1)
        found = expensive()
        if len(tries) < 3:
            raise RuntimeError("not yet")
        return found

    assert stubborn() == 1
    run = accounts.flow_run(stubborn)
    assert accounts.states(run) == [
        "Pending", "Running", "AwaitingRetry", "Retrying", "AwaitingRetry", "Retrying", "Completed"
    ]  # fmt: skip
    assert run.run_count == 3
    (task_run,) = accounts.task_runs(run).values()
    assert accounts.task_states(task_run) == ["Pending", "Running", "Completed"]


def test_a_task_that_failed_is_run_again_with_its_flow(accounts):
    tries = []

    @task
    def shaky():
        tries.append(1)
        if len(tries) == 1:
            raise ValueError("once")

    @flow(retries=1)
    def forgiving():
        shaky()

    forgiving()
    (task_run,) = accounts.task_runs(accounts.flow_run(forgiving)).values()
    assert accounts.task_states(task_run) == ["Pending", "Running", "Failed", "AwaitingRetry", "Retrying", "Completed"]
    assert task_run.run_count == 2


def test_a_flow_that_takes_too_long_fails_as_timed_out(accounts):
    cleaned = []

    @flow(timeout_seconds=0.1)
    def slow():
        try:
            time.sleep(60)
        finally:
            cleaned.append(True)

    with pytest.raises(TimeoutError):
        slow()
    run = accounts.flow_run(slow)
    assert (run.state_name, run.state.state_details.reason) == ("TimedOut", Reason.FLOW_TIMED_OUT)
    assert cleaned == [True]


def test_an_async_flow_that_takes_too_long_fails_as_timed_out(accounts):
    @flow(timeout_seconds=0.1)
    async def slow_async():
        await asyncio.sleep(60)

    with pytest.raises(TimeoutError):
        asyncio.run(slow_async())
    assert accounts.flow_run(slow_async).state_name == "TimedOut"


def test_tasks_that_go_on_when_the_flow_times_out_are_stopped(accounts):
    @task
    def endless():
        while True:
            time.sleep(0.01)

    @flow(timeout_seconds=200)
    def impatient():
        future = endless.submit()
        time_is_up()
        future.wait()

    with pytest.raises(TimeoutError):
        impatient()
    run = accounts.flow_run(impatient)
    (task_run,) = accounts.task_runs(run).values()
    assert task_run.state_type in {"CRASHED", "CANCELLED"}


def test_a_subflow_is_a_run_of_its_own_in_its_parents_place(accounts):
    @flow
    def child_flow(x: int):
        return x * 10

    @flow
    def parent_flow():
        return child_flow("4") + 1

    assert parent_flow() == 41
    parent, child = accounts.flow_run(parent_flow), accounts.flow_run(child_flow)
    (place,) = accounts.task_runs(parent).values()
    assert child.parent_task_run_id == place.id
    assert place.state.state_details.child_flow_run_id == child.id
    assert accounts.states(child) == ["Pending", "Running", "Completed"]
    assert accounts.task_states(place) == ["Pending", "Running", "Completed"]


def test_a_failed_subflow_raises_in_its_parent_and_counts_there(accounts):
    @flow
    def bad_child():
        raise ValueError("child")

    @flow
    def tolerant_parent():
        with pytest.raises(ValueError, match="child"):
            bad_child()

    assert tolerant_parent(return_state=True).message == "1/1 states failed."
    assert accounts.flow_run(bad_child).state_name == "Failed"


def test_a_subflow_takes_futures_and_waits_for_them(accounts):
    @flow
    def doubling(values: list[int]):
        return [value * 2 for value in values]

    @flow
    def feeding():
        return doubling([add.submit(1, 2), 5])

    assert feeding() == [6, 10]


def test_async_flows_run_in_the_callers_loop_with_async_tasks(accounts):
    @task
    async def aadd(a, b):
        await asyncio.sleep(0)
        return a + b

    @flow
    async def child():
        return await aadd(1, 1)

    @flow
    async def asynchronous():
        loop = asyncio.get_running_loop()
        first = await aadd(1, 2)
        future = await aadd.submit(first, 10)
        chained = aadd.submit(future, 100)
        mapped = await aadd.map([1, 2], 1000)
        assert asyncio.get_running_loop() is loop
        values = [await f.result() for f in mapped]
        return await chained.result(), values, await child(), add(1, 1), add.submit(2, 2).result()

    async def main():
        return await asynchronous()

    assert asyncio.run(main()) == (113, [1001, 1002], 2, 2, 4)
    run = accounts.flow_run(asynchronous)
    assert run.state_name == "Completed"
    assert len(accounts.task_runs(run)) == 8


def test_async_tasks_run_side_by_side(accounts):
    started = []

    @task
    async def meet():
        started.append(1)
        while len(started) < 3:
            await asyncio.sleep(0.001)

    @flow(timeout_seconds=200)
    async def meeting():
        await asyncio.gather(*(meet() for _ in range(3)))

    asyncio.run(meeting())
    assert len(accounts.task_runs(accounts.flow_run(meeting))) == 3


def test_async_tasks_and_subflows_can_be_called_from_a_sync_flow(accounts):
    @task
    async def atask():
        await asyncio.sleep(0)
        return get_run_context().name

    @flow
    async def aflow():
        return (await atask(), asub())

    @flow
    def asub():
        return atask()

    @flow
    def mixed():
        return atask(), atask.submit().result(), aflow()

    assert mixed() == ("atask-0", "atask-1", ("atask-0", "atask-0"))


def test_nothing_runs_outside_of_its_place(accounts):
    @flow
    def inner_flow(): ...

    @task
    def outer_task(call):
        call()

    @flow
    def places():
        for call in (add, inner_flow):
            with pytest.raises(MissingContext, match="within a task"):
                outer_task(call)

    places(return_state=True)
    with pytest.raises(MissingContext, match="outside of a flow"):
        add(1, 2)
    with pytest.raises(MissingContext):
        get_run_logger()
    assert add.fn(1, 2) == 3


def test_an_unfinished_result_is_an_error_of_its_own(accounts):
    @flow
    def asking():
        return add.submit(1, 2).get_state()

    state = asking(return_state=True)
    assert state.name in {"Completed", "Failed"}
    with pytest.raises(RunError):
        accounts.flow_run(asking).state.result()


def test_log_lines_and_prints_arrive_in_order(accounts, capsys):
    @task
    def talk(n):
        print("task", n)

    @flow(log_prints=True)
    def talkative():
        get_run_logger().warning("first")
        for n in range(50):
            print("flow", n)
            talk(n)
        print("raw", end="")

    talkative()
    run = accounts.flow_run(talkative)
    lines = [line for line in accounts.logs(run) if line.message.startswith(("first", "flow", "task", "raw"))]
    expected = ["first"]
    for n in range(50):
        expected += [f"flow {n}", f"task {n}"]
    assert [line.message for line in lines] == [*expected, "raw"]
    assert lines[0].level == 30
    assert {line.name for line in lines} == {"penstock.flow_runs", "penstock.task_runs"}
    assert all((line.task_run_id is not None) == line.message.startswith("task") for line in lines)
    assert "flow 49" in capsys.readouterr().err


def test_prints_stay_prints_where_nobody_asked(accounts, capsys):
    @flow
    def quiet():
        print("to the terminal")

    quiet()
    assert capsys.readouterr().out == "to the terminal\n"
    assert not any("to the terminal" in message for message in accounts.messages(accounts.flow_run(quiet)))


def test_an_exit_of_the_flow_is_told_to_the_server(accounts):
    @flow
    def leaving():
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        leaving()
    run = accounts.flow_run(leaving)
    assert (run.state_name, run.state.state_details.reason) == ("Crashed", Reason.EXITED)


def test_a_keyboard_interrupt_is_told_to_the_server(accounts):
    @flow
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    run = accounts.flow_run(interrupted)
    assert (run.state_name, run.state.state_details.reason) == ("Crashed", Reason.SIGNALLED)


def test_allowed_failures_reach_the_task_as_exceptions(accounts):
    @task
    def look(value):
        return repr(value)

    @flow
    def allowing():
        return look(allow_failure(fail.submit("ouch")))

    assert allowing() == "ValueError('ouch')"


def test_the_runtime_tells_what_runs_now(accounts):
    from penstock.runtime import deployment, flow_run, task_run

    @task
    def look():
        return task_run.name, task_run.run_count, flow_run.name

    @flow(flow_run_name="known")
    def looking(n=1):
        return flow_run.id, flow_run.flow_name, flow_run.parameters, deployment.id, look()

    found = looking()
    run = accounts.flow_run(looking)
    assert found == (str(run.id), "looking", {"n": 1}, None, ("look-0", 1, "known"))
    assert (flow_run.id, task_run.id) == (None, None)
    with pytest.raises(AttributeError, match="Did you mean 'name'"):
        _ = flow_run.nam


def test_a_forked_child_can_log_without_speaking_for_the_run(accounts):
    import os

    @flow(log_prints=True)
    def forking():
        for _ in range(5):
            print("parent")
            child = os.fork()
            if child == 0:
                print("child")
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
        return 1

    assert forking() == 1
    messages = accounts.messages(accounts.flow_run(forking))
    assert messages.count("parent") == 5
    assert messages.count("child") == 0


def test_extra_loggers_belong_to_the_run(accounts, monkeypatch):
    import logging

    monkeypatch.setenv("PENSTOCK_LOGGING_EXTRA_LOGGERS", "my.library, other")

    @flow
    def using_library():
        logging.getLogger("my.library").info("from the library")
        logging.getLogger("unrelated").warning("not ours")

    using_library()
    logging.getLogger("my.library").info("outside of any run")
    lines = [(line.name, line.message) for line in accounts.logs(accounts.flow_run(using_library))]
    assert ("my.library", "from the library") in lines
    assert not any(message in {"not ours", "outside of any run"} for _, message in lines)


def test_the_sequential_runner_runs_async_tasks_one_by_one(accounts):
    from penstock.task_runners import SequentialTaskRunner

    order = []

    @task
    async def note(n):
        await asyncio.sleep(0.01 * (3 - n))
        order.append(n)

    @flow(task_runner=SequentialTaskRunner())
    async def one_by_one():
        for n in range(3):
            note.submit(n)

    asyncio.run(one_by_one())
    assert order == [0, 1, 2]


def test_a_try_after_a_timeout_can_submit_again(accounts):
    tries = []

    @flow(timeout_seconds=200, retries=1)
    def slow_at_first():
        tries.append(1)
        if len(tries) == 1:
            time_is_up()
            time.sleep(60)
        return add.submit(1, 2).result()

    assert slow_at_first() == 3
    assert accounts.states(accounts.flow_run(slow_at_first))[-3:] == ["AwaitingRetry", "Retrying", "Completed"]


def test_a_state_may_be_returned_by_more_than_one_run(accounts):
    always = Completed(message="nothing to do", data=1)

    @task
    def idle():
        return always

    @flow
    def inner():
        return always

    @flow
    def passes_on():
        return inner(return_state=True)

    @flow
    def passes_on_a_tasks():
        return idle(return_state=True)

    assert passes_on() == passes_on_a_tasks() == inner() == 1
    ends = [accounts.flow_runs(of)[0].state for of in (passes_on, passes_on_a_tasks, inner)]
    assert {state.message for state in ends} == {"nothing to do"}
    assert len({state.id for state in [*ends, always]}) == 4


def test_an_exception_whose_text_cannot_be_made_ends_its_run_as_any_other(accounts):
    class Broken(Exception):
        def __str__(self):
            return self.nothing

    @task
    def breaking_task():
        raise Broken

    @flow
    def breaking_without_words():
        assert breaking_task(return_state=True).is_failed()
        raise Broken

    with pytest.raises(Broken):
        breaking_without_words()
    run = accounts.flow_run(breaking_without_words)
    assert (run.state_name, run.state.message) == ("Failed", "Broken: (its text cannot be made: AttributeError)")
    assert accounts.task_runs(run)["breaking_task-0"].state_name == "Failed"


def test_a_fault_of_the_engine_itself_leaves_no_run_running(accounts, monkeypatch):
    def faulty(value):
        raise ZeroDivisionError("a fault")

    @flow
    def run_by_a_faulty_engine():
        monkeypatch.setattr(outcomes, "from_return_value", faulty)
        return 1

    with pytest.raises(ZeroDivisionError):
        run_by_a_faulty_engine()
    run = accounts.flow_run(run_by_a_faulty_engine)
    assert (run.state_name, run.state.message) == ("Crashed", "Stopped while it ran: ZeroDivisionError: a fault")
