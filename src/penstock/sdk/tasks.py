"""`task`: turns a function into a task, whose calls in a flow are runs with states, retries and futures."""

from collections.abc import Callable, Coroutine, Iterable, Sequence
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, Generic, Literal, ParamSpec, TypedDict, TypeVar, Unpack, overload

from penstock.errors import ConfigurationError
from penstock.sdk.functions import (
    check_function,
    check_options,
    check_retries,
    check_seconds,
    description_of,
    is_async,
    name_of,
    signature_of,
)

if TYPE_CHECKING:
    from inspect import Signature

    from penstock.engine.futures import AsyncTaskRunFuture, TaskRunFuture
    from penstock.engine.protocols import Delays
    from penstock.model.states import State

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class TaskOptions(TypedDict, total=False):
    """All that can be said about a task. See `Task`."""

    name: str | None
    description: str | None
    tags: Iterable[str] | None
    version: str | None
    task_run_name: str | Callable[[], str] | None
    retries: int | None
    retry_delay_seconds: "Delays | None"
    retry_jitter_factor: float | None
    timeout_seconds: float | None
    log_prints: bool | None


class Task(Generic[P, R]):
    """A function that flows call, submit or map.

    `name`: by default the function's. `tags`: besides those of `penstock.tags` around the call. `task_run_name`: the
    name of each run, ``"load-{table}"`` with arguments filled in, or a function that returns it. `retries` and
    `retry_delay_seconds`: how often a failed run is run again (PENSTOCK_TASK_DEFAULT_RETRIES), and after how long:
    one delay, a list with one for each retry, or a function of the number of retries that returns such a list.
    `retry_jitter_factor`: lengthens delays by chance, up to that factor of them. `timeout_seconds`: a run that takes
    longer fails as TimedOut. `log_prints`: whether `print` makes log lines; by default as its flow.
    """

    def __init__(
        self,
        fn: Callable[P, R],
        name: str | None = None,
        description: str | None = None,
        tags: Iterable[str] | None = None,
        version: str | None = None,
        task_run_name: str | Callable[[], str] | None = None,
        retries: int | None = None,
        retry_delay_seconds: "Delays | None" = None,
        retry_jitter_factor: float | None = None,
        timeout_seconds: float | None = None,
        log_prints: bool | None = None,
    ) -> None:
        check_function(fn, "task")
        self._options: TaskOptions = {
            "name": name,
            "description": description,
            "tags": tags,
            "version": version,
            "task_run_name": task_run_name,
            "retries": retries,
            "retry_delay_seconds": retry_delay_seconds,
            "retry_jitter_factor": retry_jitter_factor,
            "timeout_seconds": timeout_seconds,
            "log_prints": log_prints,
        }
        self.fn: Callable[..., Any] = fn
        update_wrapper(self, fn)
        self.name = name_of(fn, name, "task")
        self.description = description_of(fn, description)
        self.isasync = is_async(fn)
        self.tags = frozenset(_checked_tags(tags))
        self.version = version
        self.task_run_name = task_run_name
        self.retries = check_retries(retries)
        self.retry_delay_seconds = _checked_delays(retry_delay_seconds)
        self.retry_jitter_factor = check_seconds(retry_jitter_factor, "retry_jitter_factor")
        self.timeout_seconds = check_seconds(timeout_seconds, "timeout_seconds")
        self.log_prints = log_prints
        self.task_key = f"{getattr(fn, '__module__', '?')}.{getattr(fn, '__qualname__', self.name)}"
        self._signature: Signature | None = None

    @property
    def signature(self) -> "Signature":
        if self._signature is None:
            self._signature = signature_of(self.fn)
        return self._signature

    def with_options(self, **changes: Unpack[TaskOptions]) -> "Task[P, R]":
        """The same task with other options; those not given stay as they are."""
        options: TaskOptions = {**self._options, **changes}
        return type(self)(self.fn, **options)

    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...

    @overload
    def __call__(
        self: "Task[P, Coroutine[Any, Any, T]]", *args: Any, return_state: Literal[True], **kwargs: Any
    ) -> "Coroutine[Any, Any, State]": ...

    @overload
    def __call__(self, *args: Any, return_state: Literal[True], **kwargs: Any) -> "State": ...

    @overload
    def __call__(self, *args: Any, wait_for: Iterable[Any], **kwargs: Any) -> R: ...

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task, here and now: its return value. If it fails, its exception is raised.

        Futures among the arguments are replaced by their results. `wait_for`: futures that have to complete before.
        With `return_state` you get the final state instead. Raises MissingContext outside of a flow.
        """
        from penstock.engine.task_calls import call_task

        return_state, wait_for = kwargs.pop("return_state", False), kwargs.pop("wait_for", None)
        return call_task(self, args, kwargs, return_state=return_state, wait_for=wait_for)

    @overload
    def submit(
        self: "Task[P, Coroutine[Any, Any, T]]", *args: Any, return_state: Literal[False] = False, **kwargs: Any
    ) -> "AsyncTaskRunFuture[T]": ...

    @overload
    def submit(self, *args: Any, return_state: Literal[True], **kwargs: Any) -> Any: ...

    @overload
    def submit(self, *args: Any, return_state: Literal[False] = False, **kwargs: Any) -> "TaskRunFuture[R]": ...

    def submit(
        self, *args: Any, return_state: bool = False, wait_for: Iterable[Any] | None = None, **kwargs: Any
    ) -> Any:
        """Have the flow's task runner run the task beside the flow: a future.

        The task starts when the futures among its arguments and in `wait_for` have ended, and fails as
        UpstreamFailed if one of them did not complete, unless that stands in `allow_failure`. With `return_state`,
        waits and gives the final state.
        """
        from penstock.engine.task_calls import submit_task

        return submit_task(self, args, kwargs, return_state=return_state, wait_for=wait_for)

    def map(self, *args: Any, return_state: bool = False, wait_for: Iterable[Any] | None = None, **kwargs: Any) -> Any:
        """Submit the task once for each element of its iterable arguments: a list of futures.

        They must be of one length; what every call shall get as a whole stands in `unmapped`.
        """
        from penstock.engine.task_calls import map_task

        return map_task(self, args, kwargs, return_state=return_state, wait_for=wait_for)

    def __repr__(self) -> str:
        return f"<Task {self.name!r}>"


def _checked_tags(tags: Iterable[str] | None) -> Iterable[str]:
    if isinstance(tags, str):
        raise ConfigurationError(f"tags is the text {tags!r}; it must be a list of texts, such as [{tags!r}]")
    return tags or ()


def _checked_delays(delay: "Delays | None") -> "Delays":
    if delay is None:
        return 0.0
    if callable(delay):
        return delay
    if isinstance(delay, Sequence):
        return [check_seconds(seconds, "retry_delay_seconds") or 0.0 for seconds in delay]
    return check_seconds(delay, "retry_delay_seconds") or 0.0


def exponential_backoff(backoff_factor: float) -> Callable[[int], list[float]]:
    """For `retry_delay_seconds`: `backoff_factor` seconds before the first retry, twice as long before each further one."""

    def delays(retries: int) -> list[float]:
        return [backoff_factor * 2.0**n for n in range(retries)]

    return delays


@overload
def task(fn: Callable[P, R], /) -> Task[P, R]: ...


@overload
def task(fn: None = None, /, **options: Unpack[TaskOptions]) -> Callable[[Callable[P, R]], Task[P, R]]: ...


def task(fn: Callable[..., Any] | None = None, /, **options: Unpack[TaskOptions]) -> Any:
    """Decorator that makes a `Task` of a function: ``@task`` or ``@task(retries=3)``. Options: see `Task`."""
    if fn is not None:
        return Task(fn, **options)
    check_options(options, TaskOptions.__annotations__, "task")
    return lambda function: Task(function, **options)
