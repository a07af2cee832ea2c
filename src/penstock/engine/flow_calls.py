"""Calling a flow: as a program's outermost run, or as a subflow of the run that calls it."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from penstock import settings
from penstock.client import flow_runs, flows
from penstock.client.sync import get_sync_client
from penstock.engine import inputs, keeping, names, outcomes, parameters, wire
from penstock.engine.context import FLOW_RUN, LOADING, TASK_RUN, FlowRunContext, TaskRunContext, all_tags
from penstock.engine.endings import stopped_task
from penstock.engine.flow_runs import Call, flow_run_steps, retries_of
from penstock.engine.interruption import TERMINATED, CancelRequested, Superseded, TerminationSignal
from penstock.engine.moments import moment
from penstock.engine.protocols import FlowLike
from penstock.engine.run_logs import begin, configure, logger_of
from penstock.engine.session import Session
from penstock.engine.steps import Blocking, Steps, WaitFor, drive, result_async
from penstock.engine.task_run_records import TaskRun
from penstock.engine.task_runs import hold, sources_of
from penstock.model.flow_runs import FlowRun, FlowRunCreate, FlowRunPolicy
from penstock.model.flows import FlowCreate
from penstock.model.results import Result
from penstock.model.states import State, StateCreate, StateType
from penstock.results.store import ResultStore


def call_flow(
    flow: FlowLike, args: tuple[Any, ...], kwargs: dict[str, Any], *, return_state: bool, wait_for: Iterable[Any] | None
) -> Any:
    """Run the flow: its result, or its final state.

    To be awaited if it is asynchronous and was not called from a synchronous flow.

    Raises ParameterError before any run is made if the arguments do not fit.
    """
    loading = LOADING.get()
    if loading is not None:
        return _skipped(flow, loading)
    parent, calling_task = FLOW_RUN.get(), TASK_RUN.get()
    if parent is not None and parent.session.forked:
        parent = calling_task = None
    arguments = parameters.bind(flow.signature, args, kwargs, f"flow '{flow.name}'")
    if parent is None:
        steps = outermost_steps(flow, checked(flow, arguments), raises=not return_state)
    else:
        parent.session.check()
        steps = subflow_steps(parent, calling_task, flow, arguments, list(wait_for or ()))
    if flow.isasync and (parent is None or (calling_task or parent).isasync):
        return result_async(steps, return_state)
    state = drive(steps)
    return state if return_state else state.result()


def _skipped(flow: FlowLike, path: str) -> None:
    import sys

    print(
        f"penstock: {path} calls flow '{flow.name}' while it is imported; the call was skipped. "
        'Put it under: if __name__ == "__main__":',
        file=sys.stderr,
    )


def checked(flow: FlowLike, arguments: dict[str, Any]) -> dict[str, Any]:
    """All arguments, defaults included, validated if the flow wants that."""
    arguments = parameters.with_defaults(flow.signature, arguments)
    if not flow.should_validate_parameters:
        return arguments
    return parameters.validated(flow.fn, arguments, f"flow '{flow.name}'")


def policy_of(flow: FlowLike) -> FlowRunPolicy:
    """What the server needs to know to decide on retries."""
    retries = retries_of(flow)
    return FlowRunPolicy(retries=retries, retry_delay=flow.retry_delay_seconds if retries else 0)


def outermost_steps(flow: FlowLike, arguments: dict[str, Any], *, raises: bool) -> Steps[State]:
    """Make a run for this call, and run it. `raises`: whether the caller gets the exception of a run that fails."""
    session, flow_run = yield Blocking(lambda: _begin(flow, arguments))
    session.raises = raises
    try:
        run = context_of(flow, flow_run, session, arguments)
        logger_of(run).info("Created flow run '%s' for flow '%s'", flow_run.name, flow.name)
        with session.heeding_sigterm(isasync=flow.isasync), session.noting_sigint():
            return (yield from flow_run_steps(run, parameters.as_call(flow.signature, arguments)))
    except TerminationSignal:
        raise SystemExit(TERMINATED) from None
    except CancelRequested:
        return outcomes.cancelled(f"Flow run '{flow_run.name}' was cancelled")
    except Superseded as error:
        return outcomes.cancelled(f"Flow run '{flow_run.name}' is gone: {session.superseded or error}")
    finally:
        session.close()


def _begin(flow: FlowLike, arguments: dict[str, Any]) -> tuple[Session, FlowRun]:
    configure()  # a mistake in what says how to log is told before there is a run
    client = get_sync_client()
    try:
        create = _flow_run_create(flow, client.send(flows.create_flow(FlowCreate(name=flow.name))).id, arguments)
        flow_run = client.send(flow_runs.create_flow_run(create))
    except BaseException:
        client.close()
        raise
    return Session(client, flow_run), flow_run


def _flow_run_create(
    flow: FlowLike, flow_id: UUID, arguments: dict[str, Any], parent_task_run_id: UUID | None = None
) -> FlowRunCreate:
    return FlowRunCreate(
        flow_id=flow_id,
        state=StateCreate(type=StateType.PENDING),
        name=run_name(flow, arguments),
        flow_version=flow.version,
        parameters=parameters.to_plain_json(arguments),
        empirical_policy=policy_of(flow),
        tags=all_tags(()),
        parent_task_run_id=parent_task_run_id,
    )


def run_name(flow: FlowLike, arguments: dict[str, Any]) -> str | None:
    """The name that the flow's template makes, if it has one. A function is called when there is a run to be named."""
    if not isinstance(flow.flow_run_name, str):
        return None
    return names.from_template(flow.flow_run_name, arguments, "flow_run_name")


def context_of(
    flow: FlowLike,
    flow_run: FlowRun,
    session: Session,
    arguments: dict[str, Any],
    parent: FlowRunContext | None = None,
) -> FlowRunContext:
    log_prints = flow.log_prints
    if log_prints is None:
        log_prints = parent.log_prints if parent else bool(settings.get("PENSTOCK_LOGGING_LOG_PRINTS"))
    run = FlowRunContext(
        session=session,
        flow=flow,
        flow_run=flow_run,
        parameters=arguments,
        task_runner=flow.new_task_runner(),
        results=ResultStore.for_flow(flow, parent.results if parent else None),
        start_time=moment(),
        log_prints=log_prints,
        parent=parent,
        task_retries=int(settings.get("PENSTOCK_TASK_DEFAULT_RETRIES")),
        remembers=retries_of(flow) > 0,
    )
    begin(run)
    return run


def subflow_steps(
    parent: FlowRunContext,
    calling_task: TaskRunContext | None,
    flow: FlowLike,
    arguments: dict[str, Any],
    wait_for: list[Any],
) -> Steps[State]:
    """Run the flow as a part of `parent`: a run of its own, whose place in the parent is kept by a task run.

    If a task of `parent` calls it, that is the parent of the placeholder.
    """
    pending = [future for future in inputs.futures_in(arguments, wait_for) if not future.done]
    if pending:
        yield WaitFor(pending)
    record = TaskRun(parent, calling_task, flow.name, flow.name, _placeholder(arguments, wait_for, calling_task))
    if parent.session.paused:
        yield from hold(parent.session)
    state = (yield from keeping.take_over(record, parent)) if record.kept is not None else None
    if state is None:
        state = yield from _run_subflow(parent, flow, arguments, wait_for, record)
    if calling_task is None:
        parent.tally.count(state)
    return state


def _run_subflow(
    parent: FlowRunContext, flow: FlowLike, arguments: dict[str, Any], wait_for: list[Any], record: TaskRun
) -> Steps[State]:
    try:
        arguments = checked(flow, inputs.to_results(arguments))
        inputs.check_upstream(wait_for)
    except inputs.UpstreamFailed as upstream:
        record.finish(upstream.state)
        return upstream.state
    except Exception as error:
        record.finish(outcomes.failed(error))
        raise
    flow_run = yield Blocking(lambda: _create_subflow_run(parent.session, flow, arguments, record.id))
    run = context_of(flow, flow_run, parent.session, arguments, parent)
    logger_of(parent).info("Created subflow run '%s' for flow '%s'", flow_run.name, flow.name)
    record.running_child(flow_run.id)
    try:
        call: Call = parameters.as_call(flow.signature, arguments)
        state = yield from flow_run_steps(run, call)
    except (GeneratorExit, Superseded):
        raise
    except BaseException as error:
        if not _cancelled_alone(run, error):
            record.finish(_mirrored(_stopped(parent, error), flow_run.id))
            raise
        state = outcomes.cancelled(f"Subflow run '{flow_run.name}' was cancelled")
    record.finish(_mirrored(state, flow_run.id))
    record.remember(parent, state)
    return state


def _cancelled_alone(run: FlowRunContext, error: BaseException) -> bool:
    """Whether somebody cancelled this subflow run, and not its parent, which goes on."""
    session = run.session
    alone = run.flow_run.id in session.cancelled_subflows and not session.cancel_requested
    return isinstance(error, CancelRequested) and alone


def _stopped(parent: FlowRunContext, error: BaseException) -> State:
    if isinstance(error, Exception):
        return outcomes.failed(error)
    return stopped_task(parent.session, error, parent.stopping)


def _create_subflow_run(session: Session, flow: FlowLike, arguments: dict[str, Any], task_run_id: UUID) -> FlowRun:
    flow_id = session.ask(flows.create_flow(FlowCreate(name=flow.name))).id
    return session.ask(flow_runs.create_flow_run(_flow_run_create(flow, flow_id, arguments, task_run_id)))


def _placeholder(arguments: dict[str, Any], wait_for: list[Any], calling_task: TaskRunContext | None) -> wire.JSON:
    return {"tags": all_tags(()), "task_inputs": wire.task_inputs(sources_of(arguments, wait_for, calling_task))}


def _mirrored(state: State, child_id: UUID) -> State:
    """The child's final state as that of its place in the parent."""
    details = state.state_details.model_copy(update={"child_flow_run_id": child_id, "flow_run_id": None})
    # A result that was written down is found here too: whoever tries the parent again takes it over.
    data = state.data if isinstance(state.data, Result) else None
    return State(type=state.type, name=state.name, message=state.message, data=data, state_details=details)
