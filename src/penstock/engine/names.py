"""Names of runs from templates, as the server can keep them. Pure."""

from collections.abc import Callable, Mapping
from typing import Any

from penstock.engine.context import TaskRunContext
from penstock.errors import ConfigurationError, did_you_mean
from penstock.model.base import plain


def from_template(template: str | Callable[[], str], parameters: Mapping[str, Any], option: str) -> str:
    """The name that `template` makes: a function's answer, or a text with ``{parameter}`` filled in.

    Raises ConfigurationError that names `option` (`flow_run_name`, `task_run_name`) if that does not work.
    """
    if callable(template):
        try:
            name = template()
        except Exception as error:
            raise ConfigurationError(f"{option} is a function that raised {type(error).__name__}: {error}") from error
        if not isinstance(name, str):
            raise ConfigurationError(
                f"{option} is a function that returned {type(name).__name__}; it must return a str"
            )
        return plain(name)
    try:
        return plain(template.format(**parameters))
    except KeyError as error:
        unknown = str(error.args[0])
        known = ", ".join(parameters) or "there are none"
        raise ConfigurationError(
            f"{option} {template!r} names the parameter {unknown!r}, which does not exist."
            f"{did_you_mean(unknown, parameters)}",
            hint=f"Parameters: {known}",
        ) from None
    except Exception as error:  # what is filled in is the user's, and so is the code that makes text of it
        raise ConfigurationError(f"{option} {template!r} cannot be filled in: {error}") from None


def result_key(template: str, context: TaskRunContext) -> str:
    """The name of a task run's result in its storage: `result_storage_key` with facts of the run filled in.

    ``{parameters[table]}`` is an argument; ``{task_run.name}``, ``{flow_run.id}``, ``{deployment.id}`` and so on are the
    fields of the runs, and what `penstock.runtime` calls so. Raises ConfigurationError if that does not work.
    """
    run = context.flow_run_context
    stored = run.flow_run
    facts = {
        "parameters": context.parameters,
        "task_run": _Facts(context.task_run, task_name=context.task.name, parameters=context.parameters),
        "flow_run": _Facts(stored, flow_name=run.flow.name, parameters=run.parameters),
        "deployment": _Facts(None, id=stored.deployment_id, version=stored.deployment_version),
    }
    try:
        return template.format(**facts)
    except (LookupError, ValueError, AttributeError, TypeError) as error:
        raise ConfigurationError(
            f"result_storage_key {template!r} cannot be filled in: {type(error).__name__}: {error}",
            hint="There are {parameters[NAME]}, {task_run.FIELD}, {flow_run.FIELD} and {deployment.id}.",
        ) from None


class _Facts:
    """The fields of a run, and others beside."""

    def __init__(self, run: Any, **more: Any) -> None:
        self._run = run
        vars(self).update(more)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._run, name)
