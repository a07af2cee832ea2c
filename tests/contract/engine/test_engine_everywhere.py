"""Flows are called from wherever programs call functions: loops, threads, other processes, stdin; and how errors look."""

import asyncio
import multiprocessing
import os
import subprocess
import sys
import textwrap
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

import pytest

from penstock import flow, task
from penstock.errors import MissingContext


@task
def double(x):
    return 2 * x


@task
async def double_async(x):
    await asyncio.sleep(0)
    return 2 * x


@flow
def in_loop(n):
    return [double_async(n), double_async.submit(n).result(), double.submit(n).result(), below_in_loop(n)]


@flow
async def below_in_loop(n):
    return await double_async(n)


def test_a_synchronous_flow_is_called_within_a_running_loop(accounts):
    async def program():
        return in_loop(1), await below_in_loop(2)

    assert asyncio.run(program()) == ([2, 2, 2, 2], 4)
    assert {run.state_name for run in accounts.flow_runs(in_loop)} == {"Completed"}


@flow(timeout_seconds=600)
def in_thread(slow):
    while slow:
        time.sleep(0.01)
    return threading.current_thread().name


def test_flows_run_side_by_side_in_threads_each_with_its_timeout(accounts):
    hasty = in_thread.with_options(timeout_seconds=0.2)
    calls = [(in_thread, False), (in_thread, False), (hasty, True), (in_thread, False)]
    with ThreadPoolExecutor(4) as threads:
        states = list(threads.map(lambda call: call[0](call[1], return_state=True), calls))
    assert [state.name for state in states] == ["Completed", "Completed", "TimedOut", "Completed"]
    assert len(accounts.flow_runs(in_thread)) == 4


def test_a_timeout_in_another_thread_does_not_wait_for_code_that_hangs(accounts):
    released = threading.Event()

    @flow(timeout_seconds=0.1)
    def hangs_in_thread():
        released.wait()

    with ThreadPoolExecutor(1) as threads:
        state = threads.submit(lambda: hangs_in_thread(return_state=True)).result(120)
    released.set()
    assert state.name == "TimedOut"
    assert any("cannot be interrupted" in text for text in accounts.messages(accounts.flow_run(hangs_in_thread)))


@flow(timeout_seconds=600)
def in_child(n):
    return [future.result() for future in double.map([n])] + [double_async(n)]


@flow
def forking_parent():
    """A pool whose processes are forks of the one in which this flow runs."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.map(in_child, [1])[0]


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_flows_run_in_forks(accounts):
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(in_child, [1, 2]) == [[2, 2], [4, 4]]
    assert [run.state_name for run in accounts.flow_runs(in_child)] == ["Completed"] * 2


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_flow_called_in_a_fork_of_a_run_is_a_run_of_its_own(accounts):
    before = len(accounts.flow_runs(in_child))
    assert forking_parent() == [2, 2]
    assert accounts.flow_run(forking_parent).state_name == "Completed"
    found = accounts.flow_runs(in_child)[before:]
    assert [(run.state_name, run.parent_task_run_id) for run in found] == [("Completed", None)]


@flow
def forks_and_calls_a_task():
    child = os.fork()
    if child == 0:
        try:
            double(1)
        except MissingContext as error:
            os._exit(7 if "fork" in str(error) else 8)
        os._exit(9)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_task_called_in_a_fork_of_a_run_is_refused_because_nobody_would_know_of_it(accounts):
    assert forks_and_calls_a_task() == 7


SPAWNING = """
    import multiprocessing
    from penstock import flow, task

    @task
    def double(x):
        return 2 * x

    @flow
    def spawned(n):
        return double(n)

    @flow
    def spawning():
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            return pool.map(spawned, [4])

    if __name__ == "__main__":
        print(spawning())
"""


def test_flows_run_in_spawned_processes(accounts, tmp_path):
    (tmp_path / "spawning.py").write_text(textwrap.dedent(SPAWNING))
    command = [sys.executable, str(tmp_path / "spawning.py")]
    done = subprocess.run(command, env=accounts.server.env, capture_output=True, text=True, timeout=240)
    assert done.stdout == "[8]\n", done.stderr


def test_a_program_from_stdin_has_no_file_and_runs_all_the_same(accounts):
    program = """
        import cloudpickle
        from penstock import flow, task

        @task
        def shout(text):
            return text.upper()

        @flow(name="from-stdin")
        def main(text):
            return shout.submit(text).result()

        assert cloudpickle.loads(cloudpickle.dumps(main))("a") == "A"
        print(main("typed"), main.version, main.fn, shout.fn("x"))
    """
    done = subprocess.run(
        [sys.executable, "-"],
        input=textwrap.dedent(program),
        env=accounts.server.env,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.stdout.startswith("TYPED None <function main"), done.stderr


def test_the_plain_function_is_there_without_any_run(accounts):
    assert double.fn(2) == 4
    assert in_child.fn.__name__ == "in_child"
    assert asyncio.run(double_async.fn(3)) == 6


# -- how errors look ---------------------------------------------------------------------------------------------------


@task
def breaks():
    raise ValueError("no such thing")


@flow
def breaks_directly():
    breaks()


@flow
def breaks_beside():
    breaks.submit().result()


@flow
def breaks_silently():
    breaks.submit()


@flow
async def breaks_awaited():
    await below_breaks()


@flow
async def below_breaks():
    breaks()


def frames_of(call):
    with pytest.raises(ValueError, match="no such thing") as caught:
        call()
    return [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]


@pytest.mark.parametrize(
    ("call", "frames"),
    [
        (breaks_directly, ["frames_of", "breaks_directly", "breaks"]),
        (breaks_beside, ["frames_of", "breaks_beside", "breaks"]),
        (breaks_silently, ["frames_of", "breaks"]),
    ],
    ids=["called", "submitted", "not asked for"],
)
def test_a_traceback_has_the_users_frames_and_no_others(accounts, call, frames):
    assert frames_of(call) == frames
    assert frames_of(call) == frames


def test_a_traceback_through_coroutines_has_the_users_frames(accounts):
    names = frames_of(lambda: asyncio.run(breaks_awaited()))
    assert names[0] == "frames_of"
    assert names[-3:] == ["breaks_awaited", "below_breaks", "breaks"]


def test_asking_a_future_twice_does_not_lengthen_the_traceback(accounts):
    lengths = []

    @flow
    def asks_twice():
        future = breaks.submit()
        for _ in range(3):
            try:
                future.result()
            except ValueError as error:
                lengths.append(len(traceback.extract_tb(error.__traceback__)))

    asks_twice(return_state=True)
    assert lengths == [2, 2, 2]


def test_an_error_in_the_arguments_shows_the_call(accounts):
    from penstock.errors import ParameterError

    with pytest.raises(ParameterError) as caught:
        in_child("x", nonsense=1)
    assert [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)] == [
        "test_an_error_in_the_arguments_shows_the_call"
    ]


ONCE = """
    from penstock import flow, task

    @task
    def breaks():
        raise ValueError("no such thing")

    @flow
    def below():
        breaks.submit().result()

    @flow
    def main():
        below()

    if __name__ == "__main__":
        {call}
"""


@pytest.mark.parametrize("call", ["main()", "main(return_state=True)"])
def test_a_program_shows_the_traceback_once_and_the_server_has_it(accounts, tmp_path, call):
    (tmp_path / "once.py").write_text(textwrap.dedent(ONCE.format(call=call)))
    command = [sys.executable, str(tmp_path / "once.py")]
    done = subprocess.run(command, env=accounts.server.env, capture_output=True, text=True, timeout=240)
    assert done.stderr.count("Traceback") == 1, done.stderr
    assert done.stderr.count("raise ValueError") == 1, done.stderr
    assert "penstock/engine" not in done.stderr
    assert "(once.py:6, in breaks)" in done.stderr
    run = accounts.client.read_flow_runs(flow_filter={"name": {"any_": ["main"]}}, sort="START_TIME_DESC")[0]
    assert any("Traceback" in text for text in accounts.messages(run))


def test_pytest_shows_the_users_code(accounts, tmp_path):
    (tmp_path / "test_of_a_user.py").write_text(
        textwrap.dedent(ONCE.format(call="pass")) + "\ndef test_main():\n    main()\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short", str(tmp_path)]
    done = subprocess.run(command, env=accounts.server.env, capture_output=True, text=True, timeout=240, cwd=tmp_path)
    assert "1 failed" in done.stdout
    assert "penstock/engine" not in done.stdout, done.stdout
    assert 'raise ValueError("no such thing")' in done.stdout
