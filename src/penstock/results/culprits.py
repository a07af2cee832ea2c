"""What it is within a value that keeps it from being written: the innermost part that cannot be. Pure."""

import time
from collections.abc import Callable, Iterator
from typing import Any

#: Parts are looked into this deep, so many of each, and no longer than so many seconds in all.
DEEPEST, WIDEST, SECONDS = 20, 1000, 2.0


def find_culprit(value: Any, can_write: Callable[[Any], bool]) -> tuple[str, Any]:
    """The innermost part of `value` for which `can_write` is false, and the way there, such as ``['db'].connection``.

    `value` itself, with an empty way, if none of its parts is to blame.
    """
    deadline = time.monotonic() + SECONDS
    way, found = "", value
    seen = {id(value)}
    for _ in range(DEEPEST):
        step = _blamed_part(found, can_write, seen, deadline)
        if step is None:
            break
        name, found = step
        way += name
        seen.add(id(found))
    return way, found


def _blamed_part(
    value: Any, can_write: Callable[[Any], bool], seen: set[int], deadline: float
) -> tuple[str, Any] | None:
    for number, (name, part) in enumerate(_parts(value)):
        if number >= WIDEST or time.monotonic() > deadline:
            return None
        if id(part) not in seen and not can_write(part):
            return name, part
    return None


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """What `value` is made of, as far as one can see, and how each part is called."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield f"[{key!r}]", item
            yield f", the key {key!r}", key
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield f"[{index}]", item
    elif isinstance(value, set | frozenset):
        for item in value:
            yield f", its element {item!r:.40}", item
    if isinstance(value, BaseException):
        for index, item in enumerate(value.args):
            yield f".args[{index}]", item
    attributes = getattr(value, "__dict__", None)
    if isinstance(attributes, dict) and not isinstance(value, type):
        for name, item in list(attributes.items()):
            yield f".{name}", item
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if not name.startswith("__") and hasattr(value, name):
                yield f".{name}", getattr(value, name)
    yield from _captured(value)


def _captured(value: Any) -> Iterator[tuple[str, Any]]:
    """What a function holds on to."""
    code, cells = getattr(value, "__code__", None), getattr(value, "__closure__", None)
    if code is None or cells is None:
        return
    for name, cell in zip(code.co_freevars, cells, strict=False):
        try:
            yield f", its variable {name}", cell.cell_contents
        except ValueError:
            continue  # not assigned yet
