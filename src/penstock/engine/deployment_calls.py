"""Asking for a run of a deployment, and waiting for its end; within a flow it is a subflow run of that.

A task run stands for it in the calling run, as for any subflow. The server gives that the states of the run, because
the run goes on when nobody waits for it any more.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from penstock import clock
from penstock.client import deployments, flow_runs, flows
from penstock.engine import inputs, wire
from penstock.engine.context import FLOW_RUN, TASK_RUN, FlowRunContext, TaskRunContext, all_tags
from penstock.engine.pauses import wait_until_resumed
from penstock.engine.run_control import speaker
from penstock.engine.steps import Blocking, Steps, WaitFor
from penstock.engine.task_run_records import TaskRun
from penstock.engine.task_runs import sources_of
from penstock.engine.watches import Ask, RunWatch, Watched
from penstock.model.deployments import Deployment
from penstock.model.flow_runs import DeploymentFlowRunCreate, FlowRun
from penstock.model.states import State, StateCreate, StateDetails, StateType


@dataclass(frozen=True)
class DeploymentCall:
    """What somebody asks for. See `penstock.deployments.run_deployment`."""

    name: str | UUID
    parameters: dict[str, Any] = field(default_factory=dict)
    scheduled_time: datetime | None = None
    flow_run_name: str | None = None
    timeout: float | None = None
    poll_interval: float = 5
    tags: Iterable[str] = ()
    idempotency_key: str | None = None
    work_queue_name: str | None = None
    as_subflow: bool = True
    job_variables: dict[str, Any] | None = None


def deployment_call_steps(asked: DeploymentCall, client: Any = None) -> Steps[FlowRun]:
    """Have a run made and wait for its end, as long as `asked` says. Returns the run as it is then."""
    parent = FLOW_RUN.get() if asked.as_subflow else None
    if parent is not None:
        return (yield from _as_subflow(asked, parent, TASK_RUN.get()))
    ask, close = speaker(client)
    try:
        deployment = yield Blocking(lambda: ask(_read(asked.name)))
        request = _request(asked, asked.parameters, asked.idempotency_key)
        made = yield Blocking(lambda: ask(flow_runs.create_flow_run_from_deployment(deployment.id, request)))
        return (yield from _wait(ask, made, asked))
    finally:
        close()


def _as_subflow(asked: DeploymentCall, parent: FlowRunContext, calling_task: TaskRunContext | None) -> Steps[FlowRun]:
    session = parent.session
    session.check()
    pending = [future for future in inputs.futures_in(asked.parameters) if not future.done]
    if pending:
        yield WaitFor(pending)
    if session.paused:
        yield from wait_until_resumed(session)
    parameters = inputs.to_results(asked.parameters)
    deployment: Deployment = yield Blocking(lambda: session.ask(_read(asked.name)))
    flow = yield Blocking(lambda: session.ask(flows.read_flow(deployment.flow_id)))
    name = f"{flow.name}/{deployment.name}"
    sources = wire.task_inputs(sources_of(asked.parameters, (), calling_task))
    record = TaskRun(
        parent, calling_task, f"deployment {name}", name, {"tags": all_tags(asked.tags), "task_inputs": sources}
    )
    # the server gives the placeholder its states, so it has to know it first
    yield Blocking(session.reporter.flush)
    made: FlowRun = yield Blocking(lambda: _made(asked, parent, deployment, record, parameters))
    found = yield from _wait(session.ask, made, asked)
    if found.state is not None and found.state.is_final():
        record.finish(_mirrored(found.state, found.id))
        record.remember(parent, found.state)
    return found


def _made(
    asked: DeploymentCall,
    parent: FlowRunContext,
    deployment: Deployment,
    record: TaskRun,
    parameters: dict[str, Any],
) -> FlowRun:
    """The run for this call: the one that an earlier try of the parent has made, unless that did not complete."""
    call = "\n".join(record.call)
    keys = [asked.idempotency_key]
    if asked.idempotency_key is None:
        keys = [str(uuid5(parent.flow_run.id, f"{call}\n{number}")) for number in range(parent.flow_run.run_count or 1)]
    for key in keys:
        request = _request(asked, parameters, key, parent_task_run_id=record.id)
        made = parent.session.ask(flow_runs.create_flow_run_from_deployment(deployment.id, request))
        if made.state is None or not made.state.is_final() or made.state.is_completed():
            break
    return made


def _request(
    asked: DeploymentCall, parameters: dict[str, Any], idempotency_key: str | None, **more: Any
) -> DeploymentFlowRunCreate:
    details = StateDetails(scheduled_time=asked.scheduled_time or clock.now())
    return DeploymentFlowRunCreate(
        state=StateCreate(type=StateType.SCHEDULED, state_details=details),
        name=asked.flow_run_name,
        parameters=parameters,
        tags=all_tags(asked.tags),
        idempotency_key=idempotency_key,
        work_queue_name=asked.work_queue_name,
        job_variables=asked.job_variables,
        **more,
    )


def _read(name: str | UUID) -> Any:
    if isinstance(name, UUID):
        return deployments.read_deployment(name)
    try:
        return deployments.read_deployment(UUID(name))
    except ValueError:
        return deployments.read_deployment_by_name(name)


def _wait(ask: Ask, made: FlowRun, asked: DeploymentCall) -> Steps[FlowRun]:
    if asked.timeout == 0:
        return made
    watch = RunWatch(ask, made.id, is_over, poll_seconds=asked.poll_interval, timeout=asked.timeout)
    found: FlowRun = yield Watched(watch)
    return found


def is_over(run: FlowRun) -> bool:
    return run.state is not None and run.state.is_final()


def _mirrored(state: State, child_id: UUID) -> State:
    details = state.state_details.model_copy(update={"child_flow_run_id": child_id, "flow_run_id": None})
    return State(type=state.type, name=state.name, message=state.message, state_details=details)
