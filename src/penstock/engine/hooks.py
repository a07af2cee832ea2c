"""Functions of the user's that are called when a run has entered a state. What they raise is logged and changes nothing."""

import inspect
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from penstock import settings
from penstock.engine.context import FLOW_RUN, TASK_RUN, FlowRunContext, TaskRunContext, entered
from penstock.engine.prints import printing_as_logs
from penstock.engine.protocols import FlowLike, Hook, TaskLike
from penstock.engine.run_logs import RunLogger, logger_of
from penstock.engine.steps import Invoke, Steps, Timeout
from penstock.engine.tracebacks import users_part
from penstock.model.states import State, StateType
from penstock.model.task_runs import TaskRun


def hooks_of_flow(flow: FlowLike, kind: StateType) -> Sequence[Hook]:
    """The hooks for a run of the flow that has entered a state of that type."""
    match kind:
        case StateType.RUNNING:
            return flow.on_running
        case StateType.COMPLETED:
            return flow.on_completion
        case StateType.FAILED:
            return flow.on_failure
        case StateType.CRASHED:
            return flow.on_crashed
        case StateType.CANCELLED | StateType.CANCELLING:
            return flow.on_cancellation
        case _:
            return ()


def hooks_of_task(task: TaskLike, kind: StateType) -> Sequence[Hook]:
    """The hooks for a run of the task that has ended in a state of that type."""
    if kind is StateType.COMPLETED:
        return task.on_completion
    return task.on_failure if kind is StateType.FAILED else ()


def after_flow_run(run: FlowRunContext, state: State, seconds: float | None = None) -> Steps[None]:
    """Call the flow's hooks for `state`, one after the other, each for at most `seconds`."""
    hooks = hooks_of_flow(run.flow, state.type)
    if not hooks:
        return
    with ExitStack() as stack:
        stack.enter_context(entered(FLOW_RUN, run))
        stack.enter_context(entered(TASK_RUN, None))
        if run.log_prints:
            stack.enter_context(printing_as_logs())
        yield from _call(hooks, {"flow": run.flow, "flow_run": run.flow_run, "state": state}, logger_of(run), seconds)


def after_task_run(task: TaskLike, context: TaskRunContext, state: State) -> Steps[None]:
    """Call the task's hooks for its final state `state`, one after the other."""
    hooks = hooks_of_task(task, state.type)
    if not hooks or (state.name == "Cached" and not settings.get("PENSTOCK_RUN_ON_COMPLETION_HOOKS_ON_CACHED")):
        return
    with ExitStack() as stack:
        stack.enter_context(entered(TASK_RUN, context))
        if context.log_prints:
            stack.enter_context(printing_as_logs())
        arguments = {"task": task, "task_run": _with_state(context, state), "state": state}
        yield from _call(hooks, arguments, logger_of(context), None)


def agrees(task: TaskLike, context: TaskRunContext, state: State) -> Steps[bool]:
    """Whether the task's `retry_condition_fn` wants another try after `state`. No, if it raises."""
    assert task.retry_condition_fn is not None
    arguments = (task, _with_state(context, state), state)
    try:
        return bool((yield _invoke(task.retry_condition_fn, arguments, {}, None)))
    except Exception as error:
        logger_of(context).error(
            "retry_condition_fn raised an exception, so the task is not run again", exc_info=users_part(error)
        )
        return False


def _call(hooks: Sequence[Hook], arguments: dict[str, Any], logger: RunLogger, seconds: float | None) -> Steps[None]:
    for hook in list(hooks):
        name = getattr(hook, "__name__", type(hook).__name__)
        logger.info("Calling the hook %r: the run is %s", name, arguments["state"].name)
        args, kwargs = as_hook_takes_them(hook, arguments)
        try:
            yield _invoke(hook, args, kwargs, seconds)
        except Timeout:
            logger.error("The hook %r was stopped: it may take %g s when the run is being ended", name, seconds)
        except Exception as error:
            logger.error("The hook %r raised an exception", name, exc_info=users_part(error))


def as_hook_takes_them(hook: Hook, arguments: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """By name if the hook has parameters of all these names, in whatever order; else in this order. Pure."""
    try:
        parameters = inspect.signature(hook).parameters.values()
    except (TypeError, ValueError):
        return tuple(arguments.values()), {}
    by_name = {p.name for p in parameters if p.kind in {p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY}}
    only_by_name = all(p.kind in {p.VAR_KEYWORD, p.KEYWORD_ONLY} for p in parameters) and bool(parameters)
    if by_name.issuperset(arguments) or only_by_name:
        return (), arguments
    return tuple(arguments.values()), {}


def _invoke(fn: Hook, args: tuple[Any, ...], kwargs: dict[str, Any], seconds: float | None) -> Invoke:
    isasync = inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(getattr(fn, "__call__", None))  # noqa: B004
    return Invoke(fn, args, kwargs, isasync=isasync, timeout=seconds)


def _with_state(context: TaskRunContext, state: State) -> TaskRun:
    task_run = context.task_run
    task_run.state, task_run.state_type, task_run.state_name = state, state.type, state.name
    return task_run
