"""Futures and states within the arguments of a call: found, waited for elsewhere, replaced by their results."""

import dataclasses
from collections.abc import Callable, Iterable
from copy import copy
from typing import Any

from pydantic import BaseModel

from penstock.engine.annotations import Annotation, allow_failure, quote
from penstock.engine.futures import TaskRunFuture
from penstock.engine.outcomes import upstream_failed
from penstock.model.states import State, StateType

#: Types that hold nothing, which most arguments are of.
_PLAIN = frozenset({int, float, str, bool, bytes, type(None), complex})

Visit = Callable[[Any], Any]


class UpstreamFailed(Exception):
    """An argument is the result of a run that did not complete. `state` is what the task that needs it ends in."""

    def __init__(self, name: str, upstream: State) -> None:
        super().__init__(name)
        self.state = upstream_failed(name, str(upstream.name))
        # whoever asks for the result of the task that was not run gets the exception that is behind it
        self.state.data = upstream.result(raise_on_failure=False) if upstream.is_final() else None


def walk(value: Any, visit: Visit) -> Any:
    """`value` with every future and state in it replaced by what `visit` makes of it; the same object if there is none.

    Looks into lists, tuples, sets, dictionaries, dataclasses, models of pydantic and annotations, not into `quote`,
    which is unwrapped.
    """
    return _walk(value, visit, set())


def _walk(value: Any, visit: Visit, inside: set[int]) -> Any:
    kind = type(value)
    if kind in _PLAIN:
        return value
    if isinstance(value, TaskRunFuture | State):
        return visit(value)
    if isinstance(value, quote):
        return value.unwrap()
    if isinstance(value, allow_failure):
        found = visit(value)
        return found if found is not value else _walk(value.unwrap(), visit, inside)
    if isinstance(value, Annotation):
        return value.rewrap(_walk(value.unwrap(), visit, inside))
    if isinstance(value, list | tuple | set | frozenset):
        if _PLAIN.issuperset(map(type, value)):
            return value
    elif isinstance(value, dict):
        if _PLAIN.issuperset(map(type, value)) and _PLAIN.issuperset(map(type, value.values())):
            return value
    elif not isinstance(value, BaseModel) and not _is_dataclass_object(value):
        return value
    if id(value) in inside:
        return value
    inside.add(id(value))
    try:
        return _walk_into(value, visit, inside)
    finally:
        inside.discard(id(value))


def _walk_into(value: Any, visit: Visit, inside: set[int]) -> Any:
    if isinstance(value, dict):
        changed = False
        items = []
        for key, item in value.items():
            new_key, new_item = _walk(key, visit, inside), _walk(item, visit, inside)
            changed = changed or new_key is not key or new_item is not item
            items.append((new_key, new_item))
        return _like(value, items) if changed else value
    if isinstance(value, list | tuple | set | frozenset):
        old = list(value)
        new = [_walk(item, visit, inside) for item in old]
        return _like(value, new) if any(a is not b for a, b in zip(old, new, strict=True)) else value
    if isinstance(value, BaseModel):
        changes = _changes({**value.__dict__, **(value.__pydantic_extra__ or {})}, visit, inside)
        return value.model_copy(update=changes) if changes else value
    fields = {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)}
    changes = _changes(fields, visit, inside)
    if not changes:
        return value
    changed_object = copy(value)
    for name, item in changes.items():
        object.__setattr__(changed_object, name, item)
    return changed_object


def _changes(fields: dict[str, Any], visit: Visit, inside: set[int]) -> dict[str, Any]:
    """Those of the fields that `visit` changes, changed."""
    found = {name: _walk(item, visit, inside) for name, item in fields.items()}
    return {name: item for name, item in found.items() if item is not fields[name]}


def _like(value: Any, items: Any) -> Any:
    """A collection of the type of `value` with other items."""
    kind = type(value)
    if isinstance(value, tuple) and hasattr(kind, "_fields"):
        return kind(*items)
    return kind(items) if kind in {list, tuple, set, frozenset, dict} else _built(kind, value, items)


def _built(kind: type[Any], value: Any, items: Any) -> Any:
    for plain in (list, tuple, set, frozenset, dict):
        if isinstance(value, plain):
            try:
                return kind(items)
            except TypeError:
                return plain(items)
    return value


def _is_dataclass_object(value: Any) -> bool:
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def futures_in(*values: Any) -> list[TaskRunFuture[Any]]:
    """Every future in `values`, each once, in order."""
    found: dict[int, TaskRunFuture[Any]] = {}

    def note(value: Any) -> Any:
        if isinstance(value, TaskRunFuture):
            found[id(value)] = value
        return value

    for value in values:
        walk(value, note)
    return list(found.values())


def holds_nothing(values: Iterable[Any]) -> bool:
    """Whether it is plain at first sight that no future, state or annotation is in `values`."""
    return all(type(value) in _PLAIN for value in values)


def to_results(value: Any) -> Any:
    """`value` with all futures and states, which must have ended, replaced by their results.

    Raises UpstreamFailed for one that did not complete, unless it is in `allow_failure`: then its exception takes
    its place.
    """

    def result_of(found: Any) -> Any:
        if isinstance(found, allow_failure):
            return walk(found.unwrap(), lambda inner: _state(inner).result(raise_on_failure=False))
        state = _state(found)
        if state.type is not StateType.COMPLETED:
            raise UpstreamFailed(found.name if isinstance(found, TaskRunFuture) else "of the given state", state)
        return state.result()

    return walk(value, result_of)


def to_states(value: Any) -> Any:
    """`value` with all futures, which must have ended, replaced by their final states; states stay."""
    return walk(value, lambda found: _state(found) if not isinstance(found, allow_failure) else found)


def check_upstream(wait_for: Iterable[Any]) -> None:
    """Raises UpstreamFailed if one of the ended futures in `wait_for` did not complete."""
    to_results(list(wait_for))


def _state(found: Any) -> State:
    if isinstance(found, TaskRunFuture):
        assert found.state is not None, "a future was asked for its result before its end"
        return found.state
    state: State = found
    return state
