"""What runs now, as plain values; None outside of a run, so that the same code can also be run without one."""

from typing import TYPE_CHECKING, Any

from penstock.engine.context import FLOW_RUN, TASK_RUN

if TYPE_CHECKING:
    from penstock.engine.context import FlowRunContext


def flow_run(name: str) -> Any:
    """Attribute `name` of the flow run around the calling code. Raises AttributeError for one that there is not."""
    run = FLOW_RUN.get()
    values = {
        "id": lambda r: r.id_text,
        "name": lambda r: r.flow_run.name,
        "tags": lambda r: list(r.flow_run.tags),
        "flow_name": lambda r: r.flow.name,
        "parameters": lambda r: dict(r.parameters),
        "run_count": lambda r: r.flow_run.run_count,
        "parent_flow_run_id": lambda r: r.parent.id_text if r.parent else None,
        "scheduled_start_time": lambda r: r.flow_run.expected_start_time,
    }
    return _value("flow_run", name, values, run)


def task_run(name: str) -> Any:
    """Attribute `name` of the task run around the calling code. Raises AttributeError for one that there is not."""
    values = {
        "id": lambda r: str(r.id),
        "name": lambda r: r.name,
        "tags": lambda r: sorted(r.task.tags),
        "task_name": lambda r: r.task.name,
        "parameters": lambda r: dict(r.parameters),
        "run_count": lambda r: r.run_count,
    }
    return _value("task_run", name, values, TASK_RUN.get())


def deployment(name: str) -> Any:
    """Attribute `name` of the deployment of the outermost flow run. Raises AttributeError for one that there is not."""
    values = {
        "id": lambda r: str(r.flow_run.deployment_id) if r.flow_run.deployment_id else None,
        "version": lambda r: r.flow_run.deployment_version,
        "parameters": lambda r: dict(r.parameters) if r.flow_run.deployment_id else None,
        "flow_run_id": lambda r: r.id_text if r.flow_run.deployment_id else None,
    }
    return _value("deployment", name, values, _outermost(FLOW_RUN.get()))


def _outermost(run: "FlowRunContext | None") -> "FlowRunContext | None":
    while run is not None and run.parent is not None:
        run = run.parent
    return run


def _value(noun: str, name: str, values: dict[str, Any], run: Any) -> Any:
    if name not in values:
        from penstock.errors import did_you_mean

        raise AttributeError(f"penstock.runtime.{noun} has no {name!r}.{did_you_mean(name, values)}")
    return None if run is None else values[name](run)
