"""What can be said about flows and tasks, checked where it is said. Imports nothing heavy: every program pays for it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from penstock.errors import ConfigurationError, did_you_mean

#: Of a value given for an option, and the option's name: the value as it is kept. Raises ConfigurationError.
Check = Callable[[Any, str], Any]
Hook = TypeVar("Hook", bound=Callable[..., Any])

#: Most delays in one list.
MOST_DELAYS = 50


class Hooks(list[Callable[..., Any]]):
    """Functions to call when a run enters a state, in this order. Also a decorator that adds one: ``@my_flow.on_failure``."""

    __slots__ = ("option",)

    def __init__(self, hooks: Iterable[Callable[..., Any]], option: str) -> None:
        super().__init__(hooks)
        self.option = option

    def __call__(self, hook: Hook) -> Hook:
        self.append(_hook(hook, self.option))
        return hook

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (list(self), self.option)


def check_names(given: Iterable[str], known: Iterable[str], what: str) -> None:
    """Raises TypeError for an option that `what` (``@flow``, ``@task``) does not have."""
    for option in given:
        if option not in known:
            raise TypeError(f"{what} has no option {option!r}.{did_you_mean(option, known)} It has: {', '.join(known)}")


def anything(value: Any, _option: str) -> Any:
    return value


def text(value: Any, option: str) -> str | None:
    if value is not None and not isinstance(value, str):
        raise ConfigurationError(f"{option} is {value!r}; it must be a text")
    return value


def run_name(value: Any, option: str) -> Any:
    """The name of each run: a template, or a function without parameters."""
    if value is not None and not isinstance(value, str) and not callable(value):
        raise ConfigurationError(
            f"{option} is {value!r}; it must be a text such as 'load {{table}}', or a function that returns the name"
        )
    return value


def function(value: Any, option: str) -> Any:
    if value is not None and not callable(value):
        raise ConfigurationError(f"{option} is {value!r}; it must be a function")
    return value


def switch(value: Any, option: str) -> bool | None:
    """True, False, or None for what is decided elsewhere."""
    if value is not None and not isinstance(value, bool):
        raise ConfigurationError(f"{option} is {value!r}; it must be True or False")
    return value


def switched_on(value: Any, option: str) -> bool:
    """A switch that is on unless it is switched off."""
    return switch(value, option) is not False


def seconds(value: Any, option: str) -> float | None:
    """A length of time."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigurationError(f"{option} is {value!r}; it must be a number of seconds")
    if value < 0:
        raise ConfigurationError(f"{option} is {value!r}; it may not be negative")
    if not value < float("inf"):
        raise ConfigurationError(f"{option} is {value!r}; it must be a number of seconds that passes")
    return float(value)


def seconds_or_zero(value: Any, option: str) -> float:
    return seconds(value, option) or 0.0


def timeout(value: Any, option: str) -> float | None:
    """A length of time; 0 is none."""
    return seconds(value, option) or None


def factor(value: Any, option: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise ConfigurationError(f"{option} is {value!r}; it must be a number, 0 or more")
    return float(value)


def retries(value: Any, option: str) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
        raise ConfigurationError(f"{option} is {value!r}; it must be a whole number, 0 or more")
    return value


def delays(value: Any, option: str) -> Any:
    """One delay, a list of them, or a function that returns such a list."""
    if callable(value):
        return value
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        if len(value) > MOST_DELAYS:
            raise ConfigurationError(
                f"{option} lists {len(value)} delays; {MOST_DELAYS} are the most",
                hint="The last one is repeated for all further retries.",
            )
        return [seconds_or_zero(one, option) for one in value]
    return seconds_or_zero(value, option)


def tags(value: Any, option: str) -> frozenset[str]:
    if isinstance(value, str):
        raise ConfigurationError(f"{option} is the text {value!r}; it must be a list of texts, such as [{value!r}]")
    found = frozenset(value or ())
    for tag in found:
        if not isinstance(tag, str):
            raise ConfigurationError(f"{option} has {tag!r} in it; tags are texts")
    return found


def period(value: Any, option: str) -> Any:
    """A timedelta: for how long something holds."""
    if value is None:
        return None
    from datetime import timedelta

    if not isinstance(value, timedelta):
        raise ConfigurationError(
            f"{option} is {value!r}; it must be a datetime.timedelta, such as timedelta(hours=1)",
        )
    return value


def storage(value: Any, option: str) -> Any:
    """Where results are kept: a block that reads and writes paths, or a saved one as ``type/name``."""
    named = isinstance(value, str) and len(list(filter(None, value.split("/")))) == 2
    if value is None or named or (hasattr(value, "read_path") and hasattr(value, "write_path")):
        return value
    raise ConfigurationError(
        f"{option} is {value!r}; it must be a storage block, or the name of a saved one: 'local-file-system/results'"
    )


def serializer(value: Any, option: str) -> Any:
    """How results are written: a serializer, or the name of one."""
    if value is None or isinstance(value, str) or (hasattr(value, "dumps") and hasattr(value, "loads")):
        return value
    raise ConfigurationError(f"{option} is {value!r}; it must be a serializer, or the name of one such as 'json'")


def task_runner(value: Any, option: str) -> Any:
    if value is not None and not (hasattr(value, "submit") and hasattr(value, "duplicate")):
        raise ConfigurationError(
            f"{option} is {value!r}; it must be a task runner, such as SequentialTaskRunner()",
            hint="Task runners are in penstock.task_runners.",
        )
    return value


def hooks(value: Any, option: str) -> Hooks:
    if value is None:
        return Hooks((), option)
    if callable(value) and not isinstance(value, Hooks):
        raise ConfigurationError(f"{option} is {_named(value)}; it must be a list: {option}=[{_named(value)}]")
    if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
        raise ConfigurationError(f"{option} is {value!r}; it must be a list of functions")
    return Hooks([_hook(hook, option) for hook in value], option)


def _hook(value: Any, option: str) -> Any:
    if not callable(value):
        raise ConfigurationError(
            f"{option} has {value!r} in it; a hook is a function of three arguments: the flow or task, its run, the state"
        )
    return value


def _named(value: Any) -> str:
    return str(getattr(value, "__name__", repr(value)))
