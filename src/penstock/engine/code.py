"""Finding a flow's code: the folder it lies in, the file or module, the object.

Every failure is a CodeError whose cause, if user code raised it, is attached, and whose message says what was looked
for and where.
"""

import importlib
import importlib.util
import os
import re
import sys
from hashlib import md5
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from penstock.engine.context import LOADING, entered
from penstock.engine.protocols import FlowLike
from penstock.errors import CodeError, did_you_mean

#: Codes of CodeError, for whoever has to tell one failure from another.
NOT_FOUND, IMPORT_FAILED, NO_SUCH_FLOW = "code_not_found", "import_failed", "flow_not_found"


def load_flow_from_entrypoint(entrypoint: str) -> Any:
    """The flow at ``path/to/file.py:object`` or ``package.module:object``; the object may also be a flow's name.

    Flows that the code calls while it is imported do not run. Raises CodeError.
    """
    path, _, name = entrypoint.rpartition(":")
    if not path or not name:
        raise CodeError(
            f"The entrypoint {entrypoint!r} does not say where the flow is",
            code=NOT_FOUND,
            hint="Write it as path/to/file.py:function or package.module:function.",
        )
    return find_flow(load_module(path), name, path)


def load_flow_from_script(path: str, flow_name: str | None = None) -> Any:
    """The flow in the file `path`: the one of that name, or the only one there is. Raises CodeError."""
    module = load_module(path)
    if flow_name is not None:
        return find_flow(module, flow_name, path)
    flows = flows_in(module)
    if len(flows) != 1:
        names = ", ".join(sorted(flow.name for flow in flows.values()))
        found = f"{len(flows)} flows ({names})" if flows else "no flow"
        raise CodeError(f"{path} holds {found}; a name is needed to choose one", code=NO_SUCH_FLOW)
    return next(iter(flows.values()))


def load_flows_from_script(path: str) -> list[Any]:
    """All flows in the file `path`. Raises CodeError."""
    return list(flows_in(load_module(path)).values())


def load_module(path: str) -> ModuleType:
    """The module in the file `path` (if it ends in .py or has a slash) or of that dotted name, imported."""
    is_file = path.endswith(".py") or "/" in path or os.sep in path
    with entered(LOADING, path):
        return _from_file(path) if is_file else _from_name(path)


def _from_file(path: str) -> ModuleType:
    file = Path(path).expanduser().resolve()
    if not file.is_file():
        raise CodeError(
            f"There is no file {path!r} in {Path.cwd()}",
            code=NOT_FOUND,
            hint=_nearby(Path(path)),
        )
    folder = str(file.parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    name = _module_name(file)
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise CodeError(f"{path!r} is not a Python file", code=NOT_FOUND)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        sys.modules.pop(name, None)
        raise _import_failed(path, error) from error
    return module


def _from_name(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
            raise CodeError(
                f"There is no module {name!r}",
                code=NOT_FOUND,
                hint=f"Looked in: {', '.join(p or '.' for p in sys.path[:4])} … Is the package installed here?",
            ) from error
        raise _import_failed(name, error) from error
    except (Exception, SystemExit) as error:
        raise _import_failed(name, error) from error


def _import_failed(path: str, error: BaseException) -> CodeError:
    """The import of user code raised `error`."""
    hint = None
    if isinstance(error, ModuleNotFoundError) and error.name:
        hint = f"Install {error.name.partition('.')[0]!r} where the flow runs, or ship the file with the flow's code."
    return CodeError(f"{path} could not be imported: {type(error).__name__}: {error}", code=IMPORT_FAILED, hint=hint)


def _module_name(file: Path) -> str:
    """The name under which other files of the flow would import it too, unless something else has that name.

    It is the same in every process and every folder: keys of task runs, by which a later try finds them, begin with it.
    """
    stem = file.stem
    if stem.isidentifier() and stem not in sys.stdlib_module_names and _is_free(stem, file):
        return stem
    name = "penstock_flow_" + re.sub(r"\W", "_", stem)
    return name if _is_free(name, file) else f"{name}_{md5(str(file).encode(), usedforsecurity=False).hexdigest()}"


def _is_free(name: str, file: Path) -> bool:
    """Whether nothing but `file` has been imported under that name."""
    known = sys.modules.get(name)
    return known is None or getattr(known, "__file__", None) == str(file)


def _nearby(path: Path) -> str:
    folder = path.parent if path.parent.is_dir() else Path()
    files = sorted(file.name for file in folder.glob("*.py"))
    if not files:
        return f"There is no Python file in {folder.resolve()}. Is that where the deployment's code lies?"
    return f"Python files there: {', '.join(files[:10])}.{did_you_mean(path.name, files)}"


def flows_in(module: ModuleType) -> dict[str, FlowLike]:
    """Variable -> flow, for every flow in the module."""
    return {name: cast(FlowLike, value) for name, value in vars(module).items() if is_flow(value)}


def is_flow(value: Any) -> bool:
    """Whether `value` is a flow. Its class is asked: there are objects that claim to have every attribute."""
    return all(hasattr(type(value), name) for name in ("new_task_runner", "signature", "version"))


def find_flow(module: ModuleType, name: str, where: str) -> Any:
    """The flow that the module calls `name`, or that bears that name. Raises CodeError with what there is."""
    value: Any = module
    for part in name.split("."):
        value = getattr(value, part, None)
    if is_flow(value):
        return value
    flows = flows_in(module)
    for flow in flows.values():
        if flow.name == name:
            return flow
    if value is not None:
        message = f"'{name}' in {where} is no flow, but {_kind(value)}"
        hint = f"Put @flow above the function '{name}'." if callable(value) else None
    else:
        message = f"There is no flow '{name}' in {where}.{did_you_mean(name, flows)}"
        hint = f"Flows there: {', '.join(flows)}" if flows else "It holds no flow: put @flow above a function."
    raise CodeError(message, code=NO_SUCH_FLOW, hint=hint)


def _kind(value: Any) -> str:
    if hasattr(value, "task_key"):
        return "a task"
    return "a plain function" if callable(value) else f"of type {type(value).__name__}"
