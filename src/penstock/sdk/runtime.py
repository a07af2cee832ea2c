"""What runs now, as plain values, so that the same code can also be run without a run.

Outside of a run, a process that an agent has started knows its run from the environment; elsewhere there is None, or
what is empty. Every value can be set from outside, for tests: ``PENSTOCK__RUNTIME__FLOW_RUN__NAME=x``.
"""

import json
import os
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from penstock.engine.context import FLOW_RUN, TASK_RUN
from penstock.errors import ConfigurationError, did_you_mean
from penstock.sdk.asking import RUN_ID, ask

if TYPE_CHECKING:
    from penstock.engine.context import FlowRunContext
    from penstock.model.flow_runs import FlowRun


class Run(NamedTuple):
    """A flow run, and the context around the calling code if it is that of this run."""

    stored: "FlowRun"
    context: "FlowRunContext | None"


def flow_run(name: str) -> Any:
    """Attribute `name` of the flow run around the calling code. Raises AttributeError for one that there is not."""
    return _value("flow_run", name, FLOW_RUN_FIELDS, _flow_run)


def task_run(name: str) -> Any:
    """Attribute `name` of the task run around the calling code. Raises AttributeError for one that there is not."""
    return _value("task_run", name, TASK_RUN_FIELDS, TASK_RUN.get)


def deployment(name: str) -> Any:
    """Attribute `name` of the deployment of the outermost flow run. Raises AttributeError for one that there is not."""
    return _value("deployment", name, DEPLOYMENT_FIELDS, _deployed_run)


class Field(NamedTuple):
    """How a value is read of what runs, what it is if nothing does, and how it is read from the environment."""

    read: Callable[[Any], Any]
    otherwise: Callable[[], Any] = lambda: None
    parse: Callable[[str], Any] = str


def _now() -> datetime:
    from penstock import clock

    return clock.now()


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo is not None else found.astimezone()


FLOW_RUN_FIELDS: dict[str, Field] = {
    "id": Field(lambda run: str(run.stored.id)),
    "name": Field(lambda run: run.stored.name),
    "tags": Field(lambda run: list(run.stored.tags), list, json.loads),
    "scheduled_start_time": Field(lambda run: run.stored.expected_start_time or _now(), _now, _moment),
    "flow_name": Field(lambda run: _flow_name(run)),
    "flow_version": Field(lambda run: run.context.flow.version if run.context else run.stored.flow_version),
    "parameters": Field(lambda run: _parameters(run), dict, json.loads),
    "parent_flow_run_id": Field(lambda run: _text(_parent(run), "id")),
    "parent_deployment_id": Field(lambda run: _text(_parent(run), "deployment_id")),
    "root_flow_run_id": Field(lambda run: str(_root(run).id)),
    "run_count": Field(lambda run: run.stored.run_count, lambda: 0, int),
    "job_variables": Field(lambda run: dict(run.stored.job_variables), dict, json.loads),
    "api_url": Field(lambda run: f"{_api_url()}/flow_runs/{run.stored.id}"),
    "ui_url": Field(lambda run: f"{_ui_url()}/flow-runs/flow-run/{run.stored.id}"),
}

TASK_RUN_FIELDS: dict[str, Field] = {
    "id": Field(lambda run: str(run.id)),
    "name": Field(lambda run: run.name),
    "task_name": Field(lambda run: run.task.name),
    "tags": Field(lambda run: sorted(run.record.tags), list, json.loads),
    "run_count": Field(lambda run: run.run_count, lambda: 0, int),
    "parameters": Field(lambda run: dict(run.parameters), dict, json.loads),
    "api_url": Field(lambda run: f"{_api_url()}/task_runs/{run.id}"),
    "ui_url": Field(lambda run: f"{_ui_url()}/flow-runs/task-run/{run.id}"),
}

DEPLOYMENT_FIELDS: dict[str, Field] = {
    "id": Field(lambda run: str(run.stored.deployment_id)),
    "name": Field(lambda run: _deployment_name(run.stored.deployment_id)),
    "version": Field(lambda run: run.stored.deployment_version),
    "flow_run_id": Field(lambda run: str(run.stored.id)),
    "parameters": Field(lambda run: _parameters(run), dict, json.loads),
}


def _value(noun: str, name: str, fields: dict[str, Field], what: Callable[[], Any]) -> Any:
    field = fields.get(name)
    if field is None:
        raise AttributeError(f"penstock.runtime.{noun} has no {name!r}.{did_you_mean(name, fields)}")
    variable = f"PENSTOCK__RUNTIME__{noun.upper()}__{name.upper()}"
    text = os.environ.get(variable)
    if text is not None:
        try:
            return field.parse(text)
        except ValueError as error:
            raise ConfigurationError(f"{variable} is {text!r}, which cannot be read: {error}") from None
    found = what()
    return field.otherwise() if found is None else field.read(found)


def _flow_run() -> Run | None:
    context = FLOW_RUN.get()
    if context is not None:
        return Run(context.flow_run, context)
    return _run_of_process()


def _run_of_process() -> Run | None:
    """The run that this process was started for."""
    text = os.environ.get(RUN_ID)
    return Run(_read_flow_run(UUID(text)), None) if text else None


def _deployed_run() -> Run | None:
    """The outermost run, if it is one of a deployment."""
    context = FLOW_RUN.get()
    while context is not None and context.parent is not None:
        context = context.parent
    run = Run(context.flow_run, context) if context is not None else _run_of_process()
    return run if run is not None and run.stored.deployment_id is not None else None


def _parameters(run: Run) -> dict[str, Any]:
    return dict(run.context.parameters if run.context is not None else run.stored.parameters)


def _flow_name(run: Run) -> str:
    if run.context is not None:
        return run.context.flow.name
    from penstock.client import flows

    return ask(flows.read_flow(run.stored.flow_id)).name


def _parent(run: Run) -> "FlowRun | None":
    if run.context is not None and run.context.parent is not None:
        return run.context.parent.flow_run
    return _stored_parent(run.stored)


def _stored_parent(stored: "FlowRun") -> "FlowRun | None":
    if stored.parent_task_run_id is None:
        return None
    from penstock.client import task_runs

    flow_run_id = ask(task_runs.read_task_run(stored.parent_task_run_id)).flow_run_id
    return _read_flow_run(flow_run_id) if flow_run_id is not None else None


def _root(run: Run) -> "FlowRun":
    context, found = run.context, run.stored
    while context is not None and context.parent is not None:
        context = context.parent
        found = context.flow_run
    while (parent := _stored_parent(found)) is not None:
        found = parent
    return found


def _text(stored: "FlowRun | None", name: str) -> str | None:
    found = getattr(stored, name, None)
    return None if found is None else str(found)


def _read_flow_run(flow_run_id: UUID) -> "FlowRun":
    from penstock.client import flow_runs

    return ask(flow_runs.read_flow_run(flow_run_id))


def _deployment_name(deployment_id: UUID) -> str:
    from penstock.client import deployments

    return ask(deployments.read_deployment(deployment_id)).name


def _api_url() -> str:
    run = FLOW_RUN.get()
    if run is not None:
        return run.session.client.api_url
    from penstock import settings

    return str(settings.get("PENSTOCK_API_URL") or "")


def _ui_url() -> str:
    """The address of the server without the path of its API, which is where its pages are."""
    return _api_url().removesuffix("/api")
