"""`python -m penstock.engine.code_check`: load a deployment's code as a job would, and tell what came of it.

Reads one JSON object from stdin: entrypoint, path, the storage as a claim carries it, or null, and parameters that the
flow shall take. Writes one to stdout: what was found, or which errors a job would meet. Nothing runs but the import of the
code, and no server knows of it.
"""

import inspect
import json
import os
import sys
import traceback
from typing import Any, TextIO
from uuid import UUID

from penstock.engine.deployed_runs import load_flow
from penstock.engine.parameters import from_names, validated
from penstock.engine.protocols import FlowLike
from penstock.engine.tracebacks import users_part
from penstock.errors import CodeError, ParameterError
from penstock.model.attempts import InfrastructureDocument
from penstock.model.deployments import Deployment

_NOBODY = UUID(int=0)
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def main() -> None:
    """Do as the module says, then end at once: what the imported code has left running is not waited for."""
    order = json.loads(sys.stdin.read())
    answers = _own_stdout()
    answers.write(json.dumps(check(**order)))
    answers.flush()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def check(
    entrypoint: str | None, path: str | None, storage: dict[str, Any] | None, parameters: dict[str, Any]
) -> dict[str, Any]:
    """Load the code into the current folder. Returns the flow's name as `flow`, and what is wrong with `parameters`; or
    `error`, `hint` and `code`.
    """
    deployment = Deployment(id=_NOBODY, flow_id=_NOBODY, name="checked", path=path, entrypoint=entrypoint)
    try:
        flow = load_flow(deployment, InfrastructureDocument.model_validate(storage) if storage else None)
    except CodeError as error:
        return {"error": error.message + _place(error.__cause__), "hint": error.hint, "code": error.code}
    return {"flow": flow.name, "parameters": _fault_of(flow, parameters)}


def _fault_of(flow: FlowLike, given: dict[str, Any]) -> str | None:
    """What is wrong with those parameters; that others are missing is not, for a run may bring them."""
    known = flow.signature.parameters.values()
    optional = [
        one.replace(default=None) if one.default is one.empty and one.kind not in _VARIADIC else one for one in known
    ]
    try:
        found = from_names(flow.signature.replace(parameters=optional), given, f"flow '{flow.name}'")
        if flow.should_validate_parameters:
            validated(flow.fn, found, f"flow '{flow.name}'")
    except ParameterError as error:
        return error.message
    return None


def _own_stdout() -> TextIO:
    """Stdout for the answer alone. What the code prints while it is imported goes to stderr."""
    own = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return own


def _place(cause: BaseException | None) -> str:
    """Where in the user's code the import ended."""
    frames = traceback.extract_tb(users_part(cause)[2]) if cause is not None else []
    own = [frame for frame in frames if not frame.filename.startswith("<")]
    return f" ({os.path.basename(own[-1].filename)}, line {own[-1].lineno})" if own else ""


if __name__ == "__main__":
    main()
