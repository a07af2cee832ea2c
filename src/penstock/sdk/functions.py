"""What flows and tasks know about the functions they are made of. Imports nothing heavy: every program pays for it."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from penstock.errors import ConfigurationError, did_you_mean

if TYPE_CHECKING:
    from inspect import Signature

#: The flag of a function's code that says ``async def``.
_COROUTINE = 0x80 | 0x100
#: Characters that stand for something else in paths and queries; the server refuses them in names.
_BANNED = "/%&><"


def is_async(fn: Callable[..., Any]) -> bool:
    """Whether calling `fn` gives something to await."""
    while isinstance(fn, partial):
        fn = fn.func
    fn = getattr(fn, "__func__", fn)
    code = getattr(fn, "__code__", None) or getattr(vars(type(fn)).get("__call__"), "__code__", None)
    return bool(code is not None and code.co_flags & _COROUTINE)


def check_function(fn: Any, what: str) -> None:
    """Raises TypeError if `fn`, given to the decorator `what`, cannot be one's function."""
    if not callable(fn):
        raise TypeError(f"@{what} was given {type(fn).__name__}; it must decorate a function")
    if isinstance(fn, classmethod | staticmethod):
        raise TypeError(f"@{what} must stand below @{type(fn).__name__}, directly above the function")


def check_options(given: Iterable[str], known: Iterable[str], what: str) -> None:
    """Raises TypeError for an option that the decorator `what` does not have."""
    for option in given:
        if option not in known:
            raise TypeError(
                f"@{what} has no option {option!r}.{did_you_mean(option, known)} It has: {', '.join(known)}"
            )


def name_of(fn: Callable[..., Any], name: str | None, what: str) -> str:
    """`name`, or one made from the function's. Raises ConfigurationError if the server would refuse it."""
    if name is None:
        plain = getattr(fn, "__name__", None)
        if plain is None:
            raise ConfigurationError(f"@{what} was given {fn!r}, which has no name", hint=f"Say @{what}(name=...).")
        name = "lambda" if plain == "<lambda>" else plain.replace("_", "-") if what == "flow" else plain
    banned = sorted({c for c in name if c in _BANNED})
    if banned or not name.strip():
        fault = f"contains {' '.join(banned)}" if banned else "is empty"
        raise ConfigurationError(f"The {what} name {name!r} {fault}; names may not contain any of / % & > <")
    return name


def description_of(fn: Callable[..., Any], description: str | None) -> str | None:
    """`description`, or the function's docstring without its indentation."""
    text = description if description is not None else getattr(fn, "__doc__", None)
    if not text:
        return None
    from inspect import cleandoc

    return cleandoc(text)


def signature_of(fn: Callable[..., Any]) -> "Signature":
    from inspect import signature

    return signature(fn)


def check_seconds(value: float | None, option: str) -> float | None:
    """Raises ConfigurationError if `value` is no length of time."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigurationError(f"{option} is {value!r}; it must be a number of seconds")
    if value < 0:
        raise ConfigurationError(f"{option} is {value!r}; it may not be negative")
    return float(value)


def check_retries(value: int | None) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
        raise ConfigurationError(f"retries is {value!r}; it must be a whole number, 0 or more")
    return value


def file_hash(fn: Callable[..., Any]) -> str | None:
    """32 hexadecimal digits that change with the file in which `fn` is defined; None if there is no such file."""
    import hashlib

    while isinstance(fn, partial):
        fn = fn.func
    code = getattr(fn, "__code__", None)
    try:
        with open(code.co_filename, "rb") as file:  # type: ignore[union-attr]
            return hashlib.md5(file.read(), usedforsecurity=False).hexdigest()
    except (OSError, AttributeError):
        return None
