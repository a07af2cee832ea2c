"""One task run, from its inputs to its final state. Decided here, by the same table of states that the server uses."""

from collections.abc import Iterable
from contextlib import ExitStack
from datetime import timedelta
from typing import Any
from uuid import UUID

from penstock.engine import caching, hooks, inputs, keeping, names, outcomes, wire
from penstock.engine.context import TASK_RUN, FlowRunContext, TaskRunContext, all_tags, entered
from penstock.engine.deadlines import LEFT_BEHIND
from penstock.engine.endings import stopped_task
from penstock.engine.interruption import Superseded
from penstock.engine.moments import moment
from penstock.engine.prints import printing_as_logs
from penstock.engine.protocols import TaskLike
from penstock.engine.retries import delays_of, jittered
from penstock.engine.run_logs import logger_of
from penstock.engine.session import Session
from penstock.engine.steps import Blocking, Invoke, Sleep, Steps, Timeout, WaitFor
from penstock.engine.task_run_records import TaskRun
from penstock.engine.tracebacks import log_raised
from penstock.errors import PenstockError
from penstock.model.reasons import Reason
from penstock.model.states import State, StateType
from penstock.results.store import ResultStore


def create_task_run(
    task: TaskLike,
    run: FlowRunContext,
    parent: TaskRunContext | None,
    arguments: dict[str, Any],
    wait_for: Iterable[Any],
    mapped: dict[str, list[UUID]] | None = None,
) -> TaskRun:
    """A task run for this call of `task`, by the flow or by the task run `parent`; Pending.

    `mapped`: the task runs whose results were taken apart for these arguments.
    """
    retries = retries_of(task, run)
    create: wire.JSON = {"tags": all_tags(task.tags)}
    if task.version is not None:
        create["task_version"] = task.version
    if retries:
        create["empirical_policy"] = _policy(task, retries)
    sources = sources_of(arguments, wait_for, parent)
    create["task_inputs"] = wire.task_inputs({**sources, **mapped} if mapped else sources)
    record = TaskRun(run, parent, task.task_key, task.name, create)
    if run.session.debug:
        logger_of(run).debug("Created task run '%s' for task '%s'", record.name, task.name)
    return record


def task_run_steps(
    task: TaskLike, record: TaskRun, run: FlowRunContext, args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Any
) -> Steps[State]:
    """Run the task, its inputs having ended. Returns the final state, which holds the result or the exception.

    Raises only what is no Exception: what stops the whole run.
    """
    if record.kept is not None:
        kept = yield from keeping.take_over(record, run)
        if kept is not None:
            return kept
    if run.session.paused:
        yield from hold(run.session)
    stopping = record.given_up or run.stopping
    if stopping is not None:
        state = outcomes.cancelled(f"Not run, because {stopping}")
        record.finish(state)
        return state
    context = None
    try:
        args, kwargs = inputs.to_results((args, kwargs))
        inputs.check_upstream(wait_for or ())
        parameters = task.signature.bind(*args, **kwargs)
        parameters.apply_defaults()
        context = _context(task, record, run, parameters.arguments)
    except inputs.UpstreamFailed as upstream:
        state = upstream.state
    except PenstockError as error:
        state = outcomes.failed(error, reason=Reason.CONFIGURATION_INVALID)
    else:
        state = yield from _in_context(task, record, context, args, kwargs)
    record.finish(state)
    if run.session.debug and context is not None and state.type is StateType.COMPLETED:
        logger_of(context).debug("Finished in state %s", state.name)
    if record.tags and run.session.slots is not None:
        _free_slots(record, run)
    record.remember(run, state)
    if context is not None and (task.on_completion or task.on_failure):
        yield from hooks.after_task_run(task, context, state)
    return state


def _in_context(
    task: TaskLike, record: TaskRun, context: TaskRunContext, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Steps[State]:
    with ExitStack() as stack:
        stack.enter_context(entered(TASK_RUN, context))
        if context.log_prints:
            stack.enter_context(printing_as_logs())
        if task.cache_key_fn is not None:
            cached = yield from caching.look_up(task, record, context)
            if cached is not None:
                return cached
        return (yield from _tries(task, record, context, args, kwargs))


def _tries(
    task: TaskLike, record: TaskRun, context: TaskRunContext, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Steps[State]:
    run = context.flow_run_context
    retries = retries_of(task, run)
    delays = delays_of(task.retry_delay_seconds, retries) if retries else []
    results = run.results.for_task(task)
    if results.persists:
        nowhere = yield from keeping.prepare(results, context)
        if nowhere is not None:
            return nowhere
    while True:
        if record.tags:
            yield from _slots(record, run)
        context.start_time = record.running()
        context.run_count = record.run_count
        state = yield from _one_try(task, record, context, results, args, kwargs)
        if not _was_failure(state) or not delays or record.given_up:
            break
        if not (yield from _may_retry(task, context, state)):
            break
        seconds = jittered(delays.pop(0), task.retry_jitter_factor)
        logger_of(context).warning(
            "%s. Try %d of %d, the next one in %g s",
            state.message,
            record.run_count,
            record.run_count + len(delays) + 1,
            seconds,
        )
        record.retry_at(moment() + timedelta(seconds=seconds))
        if seconds > 0:
            yield Sleep(seconds)
        run.session.check()
        if run.session.paused:
            yield from hold(run.session)
    if state.type is not StateType.COMPLETED:
        logger_of(context).error("Finished in state %s: %s", state.name, state.message)
        if results.persists:
            state = yield Blocking(lambda: results.keep(state))
    return state


def _was_failure(state: State) -> bool:
    """Whether retries are for this: the function failed, or the worker that ran it died."""
    return state.type is StateType.FAILED or state.state_details.reason is Reason.WORKER_LOST


def _may_retry(task: TaskLike, context: TaskRunContext, state: State) -> Steps[bool]:
    """Whether the task itself has nothing against another try."""
    if task.retry_condition_fn is None:
        return True
    return (yield from hooks.agrees(task, context, state))


def _one_try(
    task: TaskLike,
    record: TaskRun,
    context: TaskRunContext,
    results: ResultStore,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Steps[State]:
    try:
        value = yield Invoke(task.fn, args, kwargs, isasync=task.isasync, timeout=task.timeout_seconds)
        if context.submitted is not None:
            yield WaitFor([future for future in inputs.futures_in(value) if not future.done])
            value = inputs.to_states(value)
        state = outcomes.from_return_value(value)
        if results.persists and state.type is StateType.COMPLETED:
            state = yield from keeping.keep_tasks(task, context, results, state)
        return state
    except Timeout as over:
        if over.left_behind:
            logger_of(context).warning("%s", LEFT_BEHIND)
        return outcomes.timed_out("Task run", task.timeout_seconds or 0, Reason.TASK_TIMED_OUT)
    except outcomes.WorkerLost as error:
        return outcomes.worker_lost(error)
    except Exception as error:
        log_raised(
            logger_of(context), "The task raised an exception", error, to_caller=context.flow_run_context.session.raises
        )
        return outcomes.failed(error)
    except Superseded:
        raise
    except BaseException as error:
        run = context.flow_run_context
        record.finish(stopped_task(run.session, error, run.stopping))
        raise


def hold(session: Session) -> Steps[None]:
    """Wait until the run, which is paused, is resumed. Raises SuspendRequested if it is suspended."""
    from penstock.engine.pauses import wait_until_resumed

    yield from wait_until_resumed(session)


def _slots(record: TaskRun, run: FlowRunContext) -> Steps[None]:
    """Wait for a slot of each limited tag that the task run has."""
    from penstock.engine import slots

    yield from slots.take(frozenset(record.tags), record, run)


def _free_slots(record: TaskRun, run: FlowRunContext) -> None:
    """The end of the task run frees its slots: let it be known soon, if it has any."""
    from penstock.engine import slots

    slots.ended(record, run)


def retries_of(task: TaskLike, run: FlowRunContext) -> int:
    return run.task_retries if task.retries is None else task.retries


def _context(task: TaskLike, record: TaskRun, run: FlowRunContext, parameters: dict[str, Any]) -> TaskRunContext:
    log_prints = run.log_prints if task.log_prints is None else task.log_prints
    context = TaskRunContext(task, record, run, parameters, run.start_time, 0, log_prints)
    if task.task_run_name is not None:
        with entered(TASK_RUN, context):
            record.renamed(names.from_template(task.task_run_name, parameters, "task_run_name"))
    return context


def _policy(task: TaskLike, retries: int) -> wire.JSON:
    delays = delays_of(task.retry_delay_seconds, retries)
    delay: float | list[float] = delays[0] if len(set(delays)) == 1 else delays
    return {"retries": retries, "retry_delay": delay, "retry_jitter_factor": task.retry_jitter_factor}


def sources_of(
    arguments: dict[str, Any], wait_for: Iterable[Any], parent: TaskRunContext | None
) -> dict[str, list[UUID]]:
    """Argument -> the ids of the task runs whose futures are in it. ``__parents__``: the task run that calls."""
    found: dict[str, list[UUID]] = {}
    if not inputs.holds_nothing(arguments.values()):
        found = {name: [future.key for future in inputs.futures_in(value)] for name, value in arguments.items()}
    if wait_for:
        found["wait_for"] = [future.key for future in inputs.futures_in(list(wait_for))]
    if parent is not None:
        found["__parents__"] = [parent.id]
    return found
