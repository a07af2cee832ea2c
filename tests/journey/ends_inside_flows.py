"""Flows that end in every way there is. ``python ends_inside_flows.py CASE`` calls one; deployments name them.

KEY tells the marks of this process from those of others; the run is called after it.
"""

import asyncio
import os
import sys
import threading
import time
from pathlib import Path

from penstock import flow, get_run_logger, task

KEY, PROBES = os.environ["KEY"], Path(os.environ["PROBES"])
FLOWS = {}
#: Seconds: code that hangs has come to that by then, and what does not is over.
HANGS_BEFORE = 6


def case(fn=None, **options):
    """A flow that a test may name."""
    if fn is None:
        return lambda function: case(function, **options)
    made = flow(name=f"{fn.__name__}-{KEY}", flow_run_name=f"run-{KEY}", **options)(fn)
    FLOWS[fn.__name__] = made
    return made


def subflow(fn):
    """A subflow, whose placeholder bears its name and number."""
    return flow(name=f"{fn.__name__}-{KEY}")(fn)


def mark(name, text="here"):
    with open(PROBES / f"{KEY}-{name}", "a") as file:
        file.write(f"{text}\n")


class Halt(BaseException):
    """Something that is no Exception."""


# -- what ends by itself -----------------------------------------------------------------------------------------------


@task
def leave(code):
    sys.exit(code)


@task
def fine():
    return 1


@task
async def leave_async(code):
    await asyncio.sleep(0)
    sys.exit(code)


@task
async def fine_async():
    await asyncio.sleep(0.05)
    return 1


@task
def memory_task():
    return bytearray(1 << 62)


@task
def recursion_task():
    return deeper(0)


@task
def base_task():
    raise Halt("enough")


@task
def interrupt_task():
    raise KeyboardInterrupt


@task
async def cancelled_task():
    raise asyncio.CancelledError


def deeper(n):
    return deeper(n + 1)


@case
def memory():
    return bytearray(1 << 62)


@case
def recursion():
    return deeper(0)


@case
def exit_0():
    sys.exit(0)


@case
def exit_3():
    sys.exit(3)


@case
def base_exception():
    raise Halt("enough")


@case
def exit_in_task():
    leave(3)


@case
def exit_in_thread():
    return leave.submit(3).result()


@case
def exit_in_thread_is_caught():
    leave.submit(3).wait()
    return 1


@subflow
def leaving():
    sys.exit(3)


@case
def exit_in_subflow():
    leaving()


@case
def errors_in_threads():
    return [t.submit() for t in (memory_task, recursion_task, base_task, interrupt_task, fine)]


@case
async def async_exit():
    await asyncio.sleep(0)
    sys.exit(3)


@case
async def async_exit_in_task():
    futures = [leave_async.submit(3), fine_async.submit()]
    return [await future.result() for future in futures]


@case
async def async_memory():
    await asyncio.sleep(0)
    return bytearray(1 << 62)


@case
async def async_cancelled():
    raise asyncio.CancelledError


@case
async def async_task_cancelled():
    return await cancelled_task.submit().result()


@case
async def async_stray_exit():
    """A task of asyncio's that the flow has started ends the program: Python stops the loop for that."""

    async def stray():
        sys.exit(3)

    running = asyncio.get_running_loop().create_task(stray())
    await asyncio.sleep(30)
    return running


@case
def sync_calls_async_exit():
    future = fine_async.submit()
    gone = leave_async.submit(3)
    future.result()
    return gone.result()


def raising(flow, run, state):
    raise RuntimeError("the hook")


@case(on_failure=[raising])
def raising_hook():
    raise ValueError("the flow")


@task(timeout_seconds=HANGS_BEFORE)
def stuck():
    time.sleep(1000)


@task(timeout_seconds=HANGS_BEFORE, retries=1)
def stuck_once():
    mark("tries")
    if len((PROBES / f"{KEY}-tries").read_text().split()) == 1:
        time.sleep(1000)
    return 1


@task
def hang():
    time.sleep(1000)


@case
def stuck_task_times_out():
    state = stuck.submit().wait()
    assert state.name == "TimedOut"
    return fine.submit().result()


@case
def stuck_task_is_retried():
    return stuck_once.submit().result()


@case(timeout_seconds=HANGS_BEFORE)
def flow_times_out_with_stuck_task():
    hang.submit().result()


@case
def thread_is_left():
    threading.Thread(target=time.sleep, args=(0.2,)).start()
    threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
    return 1


@case
def endless_thread_is_left():
    threading.Thread(target=time.sleep, args=(1000,), name="the-users-thread").start()
    return 1


@case
async def stuck_beside_the_loop():
    mark("started")
    await asyncio.to_thread(time.sleep, 1000)


# -- what is told to end -----------------------------------------------------------------------------------------------


@task
def endless():
    try:
        mark("started")
        while True:
            time.sleep(0.01)
    finally:
        mark("cleaned")


@task
async def endless_async():
    try:
        mark("started")
        await asyncio.sleep(1000)
    finally:
        mark("cleaned")


@subflow
def below():
    endless.submit().result()


@subflow
async def below_async():
    await endless_async.submit().result()


@case
def waiting():
    below()


@case
def sleeping():
    mark("started")
    time.sleep(1000)


@case
def in_a_task():
    endless()


@case
async def waiting_async():
    await below_async()


@case
def waiting_for_async():
    endless_async()


@task
def stuck_for_ever():
    mark("started")
    time.sleep(1000)


@case
def with_a_stuck_thread():
    stuck_for_ever.submit().result()


@subflow
def inner():
    mark("started")
    while True:
        get_run_logger().info("a line, with whose receipt the server can say that a run is to be cancelled")
        time.sleep(0.1)


@subflow
def middle():
    inner()


@case
def outer():
    try:
        middle()
    except Exception as error:
        mark("went on", type(error).__name__)
    return fine()


@flow(name=f"inner-{KEY}")
async def inner_async():
    mark("started")
    while True:
        get_run_logger().info("a line, with whose receipt the server can say that a run is to be cancelled")
        await asyncio.sleep(0.1)


@flow(name=f"middle-{KEY}")
async def middle_async():
    await inner_async()


@case
async def outer_async():
    try:
        await middle_async()
    except Exception as error:
        mark("went on", type(error).__name__)
    return await fine_async()


def on_crashed(flow, run, state):
    mark("hook", "crashed")


def on_cancellation(flow, run, state):
    mark("hook", "cancelled")


@case(on_crashed=[on_crashed], on_cancellation=[on_cancellation])
def hooked():
    mark("started")
    while True:
        get_run_logger().info("a line, with whose receipt the server can say that the run is to be cancelled")
        time.sleep(0.1)


if __name__ == "__main__":
    called = FLOWS[sys.argv[1]]
    if called.isasync:
        asyncio.run(called())
    else:
        called()
