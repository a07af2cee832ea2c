"""What travels between a flow's process and the workers of a cluster, as bytes. Pure but for the pickling."""

import os
import pickle
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from inspect import Signature
from types import ModuleType
from typing import Any
from uuid import UUID

from penstock.engine.outcomes import describe
from penstock.engine.tracebacks import RemoteTraceback
from penstock.errors import PenstockError, RunFailed, SerializationError
from penstock.results.culprits import find_culprit
from penstock.version import __version__

#: Folders whose modules are installed, and so can be imported wherever the same things are installed.
_INSTALLED = tuple({os.path.join(os.path.abspath(prefix), "") for prefix in (sys.prefix, sys.base_prefix)})

_pickling = threading.Lock()


@dataclass(frozen=True, slots=True)
class FlowFacts:
    """What a worker knows of a flow: enough for its context. Its code stays at home."""

    name: str
    description: str | None
    version: str | None
    isasync: bool
    log_prints: bool | None
    retries: int | None = None
    retry_delay_seconds: float = 0.0
    timeout_seconds: float | None = None
    persist_result: bool | None = None
    result_storage: Any = None
    result_serializer: Any = None
    cache_result_in_memory: bool = True


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """What a worker knows of a task, besides its function."""

    name: str
    task_key: str
    description: str | None
    version: str | None
    isasync: bool
    tags: frozenset[str]
    retries: int | None
    timeout_seconds: float | None
    log_prints: bool | None
    fn: Callable[..., Any] | None = None


@dataclass(frozen=True, slots=True)
class RunFacts:
    """The flow run that the calls belong to: the same for all of them, so it is packed once.

    `flow_runs`: (the flow, its run as JSON), the innermost first, then those that it is a subflow of. `settings`: those of
    jobs, with the API's address and key. `process`: host and pid of the flow's process.
    """

    flow_runs: tuple[tuple[FlowFacts, bytes], ...]
    log_prints: bool
    settings: dict[str, str]
    attempt: tuple[UUID, str] | None
    process: tuple[str, int]


@dataclass(frozen=True, slots=True)
class RemoteCall:
    """One call of a task's function. `run`, `fn`: packed `RunFacts` and function, which workers keep by their digests.

    `call`, `number`: see `penstock.engine.protocols.TaskRunRecord`. `model`: the task run as JSON.
    """

    id: str
    task: TaskFacts
    run: bytes
    fn: bytes
    arguments: bytes
    timeout: float | None
    model: bytes
    call: tuple[str, str]
    number: str
    run_count: int
    log_prints: bool
    tags: frozenset[str]
    version: str = __version__


@dataclass(slots=True)
class Outcome:
    """How a call went: `value` if it returned, `error` with its `traceback` if it raised, `timed_out`.

    `left_behind`: it has not stopped when its time was over. `undelivered`: why log lines of the worker have not reached the server yet.
    """

    value: bytes | None = None
    error: bytes | None = None
    traceback: str | None = None
    timed_out: bool = False
    left_behind: bool = False
    undelivered: str | None = None


def dumps(value: Any) -> bytes:
    """`value` pickled, with the code of functions and classes that could not be imported elsewhere."""
    import cloudpickle  # type: ignore[import-untyped]

    packed: bytes = cloudpickle.dumps(value)
    return packed


def digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=16).digest()


@contextmanager
def _with_code_of(modules: Iterable[ModuleType]) -> Iterator[None]:
    """In the body, what these modules define is pickled with its code, and not only named."""
    import cloudpickle

    with _pickling:
        given = list(modules)
        for module in given:
            cloudpickle.register_pickle_by_value(module)
        try:
            yield
        finally:
            for module in given:
                cloudpickle.unregister_pickle_by_value(module)


def travelling(fn: Callable[..., Any]) -> list[ModuleType]:
    """The modules whose code goes along with `fn`, because workers could not import them.

    A script, and the files beside it. What is installed, and packages, are only named: workers import them.
    """
    folder = _folder(sys.modules.get(getattr(fn, "__module__", None) or ""))
    if folder is None:
        return []
    # cloudpickle itself takes the code of __main__ along
    return [module for name, module in list(sys.modules.items()) if name != "__main__" and _folder(module) == folder]


def pack_function(fn: Callable[..., Any], modules: list[ModuleType], task_name: str) -> bytes:
    """`fn` with what it refers to, and with the code of `modules` where that can be. Raises SerializationError."""
    try:
        with _with_code_of(modules):
            return dumps(fn)
    except Exception as error:
        first = error
    try:
        return dumps(fn)
    except Exception:
        way, part = find_culprit(fn, can_pickle)
        raise SerializationError(
            f"The function of task '{task_name}' cannot be sent to a worker{_blame(way, part)}: {describe(first)}",
            hint="Make what it needs inside of the function, or pass it as an argument.",
        ) from first


def _folder(module: ModuleType | None) -> str | None:
    """The folder of a module that is a single file and not installed; of a notebook, the current one."""
    # Not by getattr: there are modules that are only loaded when they are asked for an attribute.
    facts = vars(module) if isinstance(module, ModuleType) else None
    if facts is None or facts.get("__package__") or "__path__" in facts:
        return None
    file = facts.get("__file__")
    if not isinstance(file, str):
        return os.getcwd() if facts.get("__name__") == "__main__" else None
    folder = os.path.dirname(os.path.abspath(file))
    return None if (folder + os.sep).startswith(_INSTALLED) else folder


def pack_arguments(
    args: tuple[Any, ...], kwargs: dict[str, Any], modules: list[ModuleType], signature: Signature, task_name: str
) -> bytes:
    """Raises SerializationError that names the argument which cannot be sent."""
    try:
        with _with_code_of(modules):
            return dumps((args, kwargs))
    except Exception as error:
        arguments = signature.bind(*args, **kwargs).arguments
        name = next((name for name, value in arguments.items() if not can_pickle(value)), "?")
        way, part = find_culprit(arguments.get(name), can_pickle)
        raise SerializationError(
            f"Argument {name}{way} of task '{task_name}', of type {_kind(part)}, cannot be sent to a worker: "
            f"{describe(error)}",
            hint="Pass what it is made from, such as an address or a path, and make it inside of the task.",
        ) from error


def pack_value(value: Any, task_name: str) -> Outcome:
    """The outcome of a call that returned `value`, also if that cannot be sent."""
    try:
        return Outcome(value=dumps(value))
    except Exception as error:
        way, part = find_culprit(value, can_pickle)
        what = f"result{way}, of type {_kind(part)}," if way else f"The result of task '{task_name}', a {_kind(part)},"
        refused = SerializationError(
            f"{what} cannot be sent back from the worker: {describe(error)}",
            hint="Return what can be pickled, and not connections, locks, open files or generators.",
        )
        return pack_error(refused, "")


def pack_error(error: BaseException, traceback: str) -> Outcome:
    """The outcome of a call that raised `error`: itself, or a RunFailed that says what it was if it cannot travel."""
    try:
        packed = dumps(error)
        if type(pickle.loads(packed)).__qualname__ == type(error).__qualname__:
            return Outcome(error=packed, traceback=traceback)
        reason = "it is another exception when it is read back"
    except Exception as problem:
        reason = describe(problem)
    told = RunFailed(f"{describe(error)} (the exception itself could not be sent: {reason})")
    return Outcome(error=pickle.dumps(told), traceback=traceback)


def settle(outcome: Outcome) -> Any:
    """The value of the call. Raises what it raised, with the traceback from there as its cause."""
    if outcome.value is not None:
        try:
            return pickle.loads(outcome.value)
        except Exception as error:
            raise SerializationError(f"The result came back, but could not be read: {describe(error)}") from error
    raise _error_of(outcome)


def _error_of(outcome: Outcome) -> BaseException:
    assert outcome.error is not None
    try:
        error: BaseException = pickle.loads(outcome.error)
    except Exception as problem:
        error = RunFailed(f"The exception of the worker could not be read here: {describe(problem)}")
    if outcome.traceback:
        error.__cause__ = RemoteTraceback(outcome.traceback)
    return error


def unpack_call(payload: bytes) -> RemoteCall:
    """Raises PenstockError if the flow's process has another version of Penstock."""
    version, packed = pickle.loads(payload)
    if version != __version__:
        raise PenstockError(
            f"The flow runs with Penstock {version}, and this worker has {__version__}",
            code="version",
            hint="Install the same version on the workers.",
        )
    call: RemoteCall = pickle.loads(packed)
    return call


def pack_call(call: RemoteCall) -> bytes:
    return pickle.dumps((call.version, pickle.dumps(call)))


def can_pickle(value: Any) -> bool:
    try:
        dumps(value)
    except Exception:
        return False
    return True


def _blame(way: str, part: Any) -> str:
    return f" because of{way.removeprefix(',')}, of type {_kind(part)}" if way else ""


def _kind(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
