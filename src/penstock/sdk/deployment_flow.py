"""What a flow tells a deployment: its name, version, description and parameters, and where its code is."""

import inspect
import os
import sys
from pathlib import Path

from penstock.engine.parameters import parameter_schema
from penstock.engine.protocols import FlowLike
from penstock.errors import ConfigurationError
from penstock.model.base import JSONObject


def described(flow: FlowLike) -> JSONObject:
    """The fields of a deployment that `flow` says. Raises ConfigurationError if it is no flow."""
    if not hasattr(flow, "fn") or not hasattr(flow, "new_task_runner"):
        raise ConfigurationError(f"{flow!r} is no flow.", hint="Decorate the function with @flow.")
    return {
        "flow_name": flow.name,
        "description": flow.description,
        "version": flow.version,
        "parameter_openapi_schema": parameter_schema(flow.fn),
    }


def entrypoint_of(flow: FlowLike) -> str:
    """``file.py:name`` from where an engine can load `flow`, relative to the current folder where it lies below it.

    Raises ConfigurationError if its code is in no file.
    """
    source = inspect.getsourcefile(inspect.unwrap(flow.fn))
    if source is None or not Path(source).is_file():
        raise ConfigurationError(
            f"The code of flow {flow.name!r} is in no file, so that nothing else could run it.",
            hint="Write the flow into a file, or say entrypoint='file.py:name'.",
        )
    path = below_here(Path(source))
    module = sys.modules.get(flow.fn.__module__)
    names = [name for name, value in vars(module).items() if value is flow] if module else []
    return f"{path.as_posix()}:{names[0] if names else flow.fn.__name__}"


def below_here(path: Path) -> Path:
    """`path` relative to the current folder where it lies below it, also behind a link; else the absolute path."""
    here = Path.cwd()
    written, real = Path(os.path.abspath(path)), path.resolve()
    return next((found.relative_to(here) for found in (written, real) if found.is_relative_to(here)), real)
