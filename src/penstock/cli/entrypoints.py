"""Where a flow is, as it is typed: FILE.py:FLOW or package.module:FLOW."""

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.cli.errors import UsageProblem

if TYPE_CHECKING:
    import ast


def portable(entrypoint: str) -> str:
    """The entrypoint as it is kept: with ``/``, relative to the current folder where the file lies below it.

    Raises UsageProblem, with the flows of the file, if it does not say which flow is meant.
    """
    from penstock.sdk.deployment_flow import below_here

    path, colon, name = entrypoint.rpartition(":")
    if not (colon and path and name) or name.endswith(".py") or "/" in name or "\\" in name:
        raise UsageProblem(
            f"{entrypoint!r} does not say which flow is meant.", hint=_suggestion(entrypoint.rstrip(":"))
        )
    if "\\" in path and not Path(path).exists():
        path = path.replace("\\", "/")  # as it is typed on Windows
    if not (path.endswith(".py") or "/" in path):
        return f"{path}:{name}"
    return f"{below_here(Path(path).expanduser()).as_posix()}:{name}"


def _suggestion(path: str) -> str:
    """How the flow of the file at `path` is named."""
    file = Path(path.replace("\\", "/"))
    found = _flows_in(file) if file.suffix == ".py" and file.is_file() else []
    if not found:
        return "Write FILE.py:FLOW or package.module:FLOW."
    return f"Write {' or '.join(f'{file.as_posix()}:{name}' for name in found[:5])}."


def _flows_in(file: Path) -> list[str]:
    """Functions of a Python file with the decorator ``@flow``; read, not run."""
    import ast

    try:
        tree = ast.parse(file.read_text())
    except (OSError, SyntaxError, ValueError):
        return []
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [node.name for node in functions if any(_is_flow(decorator) for decorator in node.decorator_list)]


def _is_flow(decorator: "ast.expr") -> bool:
    target = getattr(decorator, "func", decorator)  # of a call
    return getattr(target, "attr", getattr(target, "id", None)) == "flow"


def load_flow(entrypoint: str) -> Any:
    """The flow at an entrypoint. What its module prints goes to stderr, being no data of ours. Raises CodeError."""
    from penstock.engine.code import load_flow_from_entrypoint

    sys.path.insert(0, str(Path.cwd()))
    with contextlib.redirect_stdout(sys.stderr):
        return load_flow_from_entrypoint(entrypoint)
