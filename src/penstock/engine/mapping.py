"""What mapping a task over its arguments means: which of them are taken apart, and the arguments of each call. Pure."""

import io
from collections.abc import Iterable
from inspect import Parameter, Signature
from typing import Any
from uuid import UUID

from penstock.engine import inputs
from penstock.engine.annotations import Annotation, allow_failure, quote, unmapped
from penstock.engine.futures import TaskRunFuture
from penstock.errors import ParameterError
from penstock.model.states import State

Kwargs = dict[str, Any]
#: Where an argument belongs: the parameter, and for those of ``*args`` and ``**kwargs`` the place in it.
Place = tuple[str, int | str | None]


def mapped_futures(arguments: Kwargs) -> list[TaskRunFuture[Any]]:
    """The futures whose results are taken apart, and so must have ended before there can be any call.

    Futures within a list are waited for by the calls that get them.
    """
    found = (_inner(value) for value in arguments.values() if not isinstance(value, unmapped))
    return [value for value in found if isinstance(value, TaskRunFuture)]


def mapped_sources(arguments: Kwargs) -> dict[str, list[UUID]]:
    """Parameter -> the task run whose result is taken apart: where each call's element comes from."""
    found = {name: _inner(value) for name, value in arguments.items()}
    return {name: [value.key] for name, value in found.items() if isinstance(value, TaskRunFuture)}


def elements(name: str, signature: Signature, arguments: Kwargs) -> list[Kwargs]:
    """The arguments of each call that mapping the task `name` over `arguments` makes.

    Raises ParameterError if there is nothing to map over, or if lengths differ, and what a future among the arguments
    failed with.
    """
    columns: dict[Place, list[Any]] = {}
    fixed: dict[Place, Any] = {}
    for place, value in _spread(signature, arguments).items():
        column = None if isinstance(value, unmapped) else _column(value, place, name)
        if column is not None:
            columns[place] = column
        else:
            fixed[place] = value.unwrap() if isinstance(value, unmapped) else value
    _check_lengths(name, columns)
    places = list(columns)
    rows = zip(*columns.values(), strict=True)
    return [_gathered(signature, {**fixed, **dict(zip(places, row, strict=True))}) for row in rows]


def _check_lengths(name: str, columns: dict[Place, list[Any]]) -> None:
    if not columns:
        raise ParameterError(
            f"Task '{name}' was mapped, but none of its arguments can be iterated over",
            hint=f"Pass a list to map over, or call {name}.submit(...) for one run.",
        )
    lengths = {_called(place): len(column) for place, column in columns.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{key} has {length}" for key, length in lengths.items())
        raise ParameterError(
            f"Task '{name}' was mapped over arguments of different lengths: {listed}",
            hint="Wrap an argument that every call shall get as a whole in unmapped(...).",
        )


def _spread(signature: Signature, arguments: Kwargs) -> dict[Place, Any]:
    """Each argument under its place; those of ``*args`` and ``**kwargs`` one by one."""
    found: dict[Place, Any] = {}
    for name, value in arguments.items():
        kind = signature.parameters[name].kind
        if kind is Parameter.VAR_POSITIONAL:
            found.update({(name, index): item for index, item in enumerate(value)})
        elif kind is Parameter.VAR_KEYWORD:
            found.update({(name, key): item for key, item in value.items()})
        else:
            found[name, None] = value
    return found


def _gathered(signature: Signature, placed: dict[Place, Any]) -> Kwargs:
    """The reverse of `_spread`."""
    found: Kwargs = {}
    for (name, within), value in placed.items():
        if within is None:
            found[name] = value
        elif signature.parameters[name].kind is Parameter.VAR_KEYWORD:
            found.setdefault(name, {})[within] = value
        else:
            found.setdefault(name, []).append((within, value))
    for name, value in found.items():
        if signature.parameters[name].kind is Parameter.VAR_POSITIONAL:
            found[name] = tuple(item for _, item in sorted(value, key=lambda pair: pair[0]))
    return found


def _column(value: Any, place: Place, name: str) -> list[Any] | None:
    """The elements of an argument, each with the mark that the whole has; None if it is no collection."""
    inner = _inner(value)
    if isinstance(inner, TaskRunFuture | State):
        inner = _result(inner)
        if not is_iterable(inner):
            raise ParameterError(
                f"Task '{name}' was mapped over {_called(place)}, whose result, {type(inner).__name__}, has no elements",
                hint="Wrap it in unmapped(...) if every call shall get it as a whole.",
            )
    elif not is_iterable(inner):
        return None
    if isinstance(value, Annotation):
        return [value.rewrap(item) for item in inner]
    return list(inner)


def _inner(value: Any) -> Any:
    return value.unwrap() if isinstance(value, allow_failure | quote) else value


def _result(ended: TaskRunFuture[Any] | State) -> Any:
    try:
        return inputs.to_results(ended)
    except inputs.UpstreamFailed as upstream:
        return upstream.state.result()


def is_iterable(value: Any) -> bool:
    """Whether mapping takes `value` apart: all that can be iterated over, but texts, bytes and files."""
    if isinstance(value, str | bytes | io.IOBase):
        return False
    if isinstance(value, Iterable):
        return True
    try:
        iter(value)
    except TypeError:
        return False
    return True


def _called(place: Place) -> str:
    name, within = place
    return name if within is None else str(within) if isinstance(within, str) else f"{name}[{within}]"
