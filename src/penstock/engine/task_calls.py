"""The three ways to call a task: run it here, submit it, map it over collections."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any
from uuid import UUID

from penstock.engine import inputs, mapping
from penstock.engine.context import FLOW_RUN, TASK_RUN, FlowRunContext, Tally, TaskRunContext
from penstock.engine.endings import stopped_task, without_interruption
from penstock.engine.futures import (
    SLOTS,
    AsyncTaskRunFuture,
    FutureList,
    TaskRunFuture,
    check_may_block,
    when_all_done,
)
from penstock.engine.loop import spawn_on_loop
from penstock.engine.parameters import bind
from penstock.engine.protocols import OnEnd, TaskLike
from penstock.engine.steps import Steps, WaitFor, drive, drive_async, result_async
from penstock.engine.task_run_records import TaskRun
from penstock.engine.task_runs import create_task_run, task_run_steps
from penstock.errors import MissingContext
from penstock.model.states import State

Args = tuple[Any, ...]
Kwargs = dict[str, Any]


def call_task(task: TaskLike, args: Args, kwargs: Kwargs, *, return_state: bool, wait_for: Iterable[Any] | None) -> Any:
    """Run the task here and now: its result, or its final state. To be awaited if task and flow are asynchronous."""
    run, parent = _caller(task)
    arguments = _arguments(task, args, kwargs)
    pending = _unfinished(args, kwargs, wait_for)
    awaited = task.isasync and (parent or run).isasync
    if pending and not awaited:
        check_may_block(pending)
    record = create_task_run(task, run, parent, arguments, wait_for or ())
    steps = _called(task, record, run, parent, args, kwargs, wait_for, pending)
    if awaited:
        return result_async(steps, return_state)
    state = drive(steps)
    return state if return_state else state.result()


def submit_task(
    task: TaskLike, args: Args, kwargs: Kwargs, *, return_state: bool, wait_for: Iterable[Any] | None
) -> Any:
    """Have the task run beside the flow: a future. With `return_state`, waits and gives the final state.

    The future's methods are to be awaited if task and flow are asynchronous.
    """
    run, parent = _caller(task)
    arguments = _arguments(task, args, kwargs)
    future = _submit(task, run, parent, arguments, args, kwargs, wait_for)
    return future.wait() if return_state else future


def map_task(task: TaskLike, args: Args, kwargs: Kwargs, *, return_state: bool, wait_for: Iterable[Any] | None) -> Any:
    """Submit the task once for each element of its iterable arguments, all of one length: a list of futures."""
    run, parent = _caller(task)
    arguments = _arguments(task, args, kwargs)
    pending = [future for future in mapping.mapped_futures(arguments) if not future.done]
    if any(future.asynchronous for future in pending):
        return _map_later(task, run, parent, arguments, pending, return_state, wait_for)
    WaitFor(pending).run()
    futures = _map(task, run, parent, arguments, wait_for)
    if not return_state:
        return futures
    return _states_of(futures) if task.isasync and (parent or run).isasync else FutureList(f.wait() for f in futures)


async def _map_later(
    task: TaskLike,
    run: FlowRunContext,
    parent: TaskRunContext | None,
    arguments: Kwargs,
    pending: list[TaskRunFuture[Any]],
    return_state: bool,
    wait_for: Iterable[Any] | None,
) -> list[Any]:
    await WaitFor(pending).run_async()
    futures = _map(task, run, parent, arguments, wait_for)
    return await _states_of(futures) if return_state else futures


async def _states_of(futures: list[TaskRunFuture[Any]]) -> list[Any]:
    await WaitFor(futures).run_async()
    return [future.state for future in futures]


def _map(
    task: TaskLike,
    run: FlowRunContext,
    parent: TaskRunContext | None,
    arguments: Kwargs,
    wait_for: Iterable[Any] | None,
) -> FutureList:
    sources = mapping.mapped_sources(arguments)
    return FutureList(
        _submit(task, run, parent, element, *_as_call(task, element), wait_for, sources)
        for element in mapping.elements(task.name, task.signature, arguments)
    )


def _as_call(task: TaskLike, arguments: Kwargs) -> tuple[Args, Kwargs]:
    """`arguments` by name as they have to be passed: positional-only, ``*args`` and ``**kwargs`` in their places."""
    bound = task.signature.bind_partial()
    bound.arguments.update(arguments)
    return bound.args, bound.kwargs


def _caller(task: TaskLike) -> tuple[FlowRunContext, TaskRunContext | None]:
    """The flow run around the calling code, and the task run in it if that is what calls."""
    run = FLOW_RUN.get()
    if run is None:
        raise MissingContext(
            f"Task '{task.name}' was called outside of a flow.",
            hint=f"Call it from a function decorated with @flow, or call {task.name}.fn(...) to run just the function.",
        )
    run.session.check()
    return run, TASK_RUN.get()


def _arguments(task: TaskLike, args: Args, kwargs: Kwargs) -> Kwargs:
    return bind(task.signature, args, kwargs, f"task '{task.name}'") if args or kwargs else _none(task)


def _none(task: TaskLike) -> Kwargs:
    return {} if not task.signature.parameters else bind(task.signature, (), {}, f"task '{task.name}'")


def _called(
    task: TaskLike,
    record: TaskRun,
    run: FlowRunContext,
    parent: TaskRunContext | None,
    args: Args,
    kwargs: Kwargs,
    wait_for: Iterable[Any] | None,
    pending: list[TaskRunFuture[Any]],
) -> Steps[State]:
    if pending:
        yield WaitFor(pending)
    try:
        state = yield from task_run_steps(task, record, run, args, kwargs, wait_for)
    except Exception as fault:
        record.finish(stopped_task(run.session, fault, run.stopping))
        raise
    if parent is None:
        run.tally.count(state)
    return state


def _submit(
    task: TaskLike,
    run: FlowRunContext,
    parent: TaskRunContext | None,
    arguments: Kwargs,
    args: Args,
    kwargs: Kwargs,
    wait_for: Iterable[Any] | None,
    mapped: dict[str, list[UUID]] | None = None,
) -> TaskRunFuture[Any]:
    if run.task_runner.remote:
        run.runner()  # a cluster that cannot be reached is told here, before there is a task run
    record = create_task_run(task, run, parent, arguments, wait_for or (), mapped)
    if parent is not None and parent.submitted is None:
        parent.submitted = []
    asynchronous = task.isasync and (parent or run).isasync
    future: TaskRunFuture[Any] = AsyncTaskRunFuture(record) if asynchronous else TaskRunFuture(record)
    # a run that cannot be stopped may outlive its try of the flow, and counts for no later one
    tally = run.tally
    tally.opened()
    run.open_runs[record.id] = record
    steps = task_run_steps(task, record, run, args, kwargs, wait_for)
    on_end = partial(_end, run, tally, record, future)
    _hand_over(task, run, steps, future, on_end, _unfinished(args, kwargs, wait_for))
    return future


def _hand_over(
    task: TaskLike,
    run: FlowRunContext,
    steps: Steps[State],
    future: TaskRunFuture[Any],
    on_end: OnEnd,
    pending: list[TaskRunFuture[Any]],
) -> None:
    """Have the flow's task runner run the steps once `pending` have ended."""
    runner = run.task_runner
    in_order = runner.concurrency_type.value == "SEQUENTIAL"
    if runner.remote:
        _when_all_done(pending, lambda: runner.carry_out(steps, on_end))
    elif future.asynchronous:
        if in_order:
            caller = TASK_RUN.get() or run
            pending += [other for other in caller.submitted or () if not other.done]
            caller.submitted = [future]
        _start_async(steps, run, on_end, pending)
    elif in_order:
        WaitFor(pending).run()
        run.runner().submit(lambda: _work(steps, on_end))
    elif task.isasync and runner.uses_loop:
        _start_on_loop(steps, run, future, on_end, pending)
    else:
        _when_all_done(pending, lambda: run.runner().submit(lambda: _work(steps, on_end)))


def _work(steps: Steps[State], on_end: OnEnd) -> None:
    """Run a submitted task to its end, whatever that is."""
    try:
        state, error = drive(steps), None
    except BaseException as raised:
        state, error = None, raised
    on_end(state, error)


def _start_async(steps: Steps[State], run: FlowRunContext, on_end: OnEnd, pending: list[TaskRunFuture[Any]]) -> None:
    import asyncio

    running = asyncio.get_running_loop().create_task(_work_async(steps, run, on_end, pending))
    run.async_tasks.add(running)
    running.add_done_callback(run.async_tasks.discard)


def _start_on_loop(
    steps: Steps[State],
    run: FlowRunContext,
    future: TaskRunFuture[Any],
    on_end: OnEnd,
    pending: list[TaskRunFuture[Any]],
) -> None:
    """An asynchronous task that a synchronous flow submits needs no thread of its own."""
    spawned = spawn_on_loop(lambda: _work_async(steps, run, on_end, pending))
    run.async_tasks.add(spawned)
    future.when_done(lambda: run.async_tasks.discard(spawned))


async def _work_async(
    steps: Steps[State], run: FlowRunContext, on_end: OnEnd, pending: list[TaskRunFuture[Any]]
) -> None:
    slots = run.task_runner.async_slots()
    try:
        if slots is None:
            await WaitFor(pending).run_async()
            state, error = await drive_async(steps), None
        else:
            SLOTS.set(None)  # that of the task which has submitted this one is not ours to lend
            await WaitFor(pending).run_async()
            await slots.acquire()
            SLOTS.set(slots)
            try:
                state, error = await drive_async(steps), None
            finally:
                slots.release()
    except BaseException as raised:
        state, error = None, raised
    on_end(state, error)


def _end(
    run: FlowRunContext,
    tally: Tally,
    record: TaskRun,
    future: TaskRunFuture[Any],
    state: State | None,
    error: BaseException | None,
) -> None:
    """The steps have returned `state`, or raised `error`."""
    if state is None:
        error = error or RuntimeError("the task run has no outcome")
        state = stopped_task(run.session, error, run.stopping)
        if isinstance(error, Exception):  # a fault of ours; who is stopped has told so
            record.finish(state)
        state = without_interruption(state, error)
    if run.open_runs.get(future.key) is record:  # a later try may have taken its place
        del run.open_runs[future.key]
    future.set_state(state)
    tally.closed(None if record.in_task else state)


def _unfinished(args: Args, kwargs: Kwargs, wait_for: Iterable[Any] | None) -> list[TaskRunFuture[Any]]:
    if not wait_for and inputs.holds_nothing(args) and inputs.holds_nothing(kwargs.values()):
        return []
    return [future for future in inputs.futures_in(args, kwargs, list(wait_for or ())) if not future.done]


def _when_all_done(futures: list[TaskRunFuture[Any]], start: Callable[[], None]) -> None:
    """Call `start` when all have ended, in the context of now."""
    if not futures:
        start()
        return
    from contextvars import copy_context

    context = copy_context()
    when_all_done(futures, lambda: context.run(start))
